package peer

import (
	"cmp"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/anacrolix/torrent/bencode"

	"snapswarm/common/bucket"
	"snapswarm/common/daemon"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

// locateRetry is how long a round of asking all buckets for a torrent lies behind before the next.
const locateRetry = 10 * time.Second

// Open makes the snapshot that rec names a holding: its torrent is read from the buckets or from
// peers (BEP 9), whichever has it first, checked against the signed hashes, and written to disk.
// Nothing is fetched before [swarm.Snapshot.Start] or [swarm.Snapshot.WaitPiece]. Opening what is held
// already returns the holding. Without ctx ending, Open tries until somebody has the torrent.
func (p *Peer) Open(ctx context.Context, ch snapshot.Channel, rec pointer.Record) (*Holding, error) {
	ptr, err := rec.Pointer()
	if err != nil {
		return nil, daemon.WithCode(daemon.ExitRefused, err)
	}
	if h := p.held(ch.Salt, ptr); h != nil {
		// A renewed pointer may name another bucket than the one before.
		h.Snapshot.SetOrigins(distinct(append(p.origins(ch.Salt, h.Version, h.Torrent), p.foundOrigins(ch.Salt, h.Version, h.Torrent, ptr)...)))
		return h, nil
	}
	t, err := p.locate(ctx, ptr)
	if err != nil {
		code := daemon.ExitNoData
		if errors.Is(err, errSigned) {
			code = daemon.ExitVerification
		}
		return nil, daemon.WithCode(code, fmt.Errorf("find torrent %s of %s: %w", ptr.InfoHash, ch.Salt, err))
	}
	v := p.versionOf(ch.Salt, rec, t)
	t.Origins = p.foundOrigins(ch.Salt, v, t, ptr)
	return p.hold(ctx, ch, v, t, false)
}

// locate asks buckets and peers at the same time.
func (p *Peer) locate(ctx context.Context, ptr pointer.Pointer) (*snapshot.Torrent, error) {
	ctx, cancel := context.WithCancel(ctx)
	type answer struct {
		t   *snapshot.Torrent
		err error
	}
	answers := make(chan answer, 2)
	go func() {
		t, err := p.torrentFromBuckets(ctx, ptr)
		answers <- answer{t, err}
	}()
	go func() {
		t, err := p.torrentFromPeers(ctx, ptr)
		answers <- answer{t, err}
	}()
	first := <-answers
	if first.err == nil || errors.Is(first.err, errSigned) {
		cancel()
	}
	second := <-answers // both have let go of the info-hash before it is added for real
	cancel()
	for _, a := range []answer{first, second} {
		if a.err == nil || errors.Is(a.err, errSigned) {
			return a.t, a.err
		}
	}
	return nil, errors.Join(first.err, second.err)
}

// torrentFromBuckets asks every base address until one has the torrent or ctx ends.
func (p *Peer) torrentFromBuckets(ctx context.Context, ptr pointer.Pointer) (*snapshot.Torrent, error) {
	readers := p.readersFor(ptr)
	if len(readers) == 0 {
		return nil, errors.New("no bucket to ask")
	}
	for {
		t, err := torrentFromAny(ctx, readers, ptr)
		if err == nil || errors.Is(err, errSigned) {
			return t, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(locateRetry):
		}
	}
}

// torrentFromAny asks all readers at once, so that one that hangs delays nobody. The first good answer counts.
func torrentFromAny(ctx context.Context, readers []*bucket.Reader, ptr pointer.Pointer) (*snapshot.Torrent, error) {
	ctx, cancel := context.WithCancel(ctx)
	type answer struct {
		t   *snapshot.Torrent
		err error
	}
	answers := make(chan answer, len(readers))
	for _, r := range readers {
		go func() {
			t, err := torrentFrom(ctx, r, ptr)
			answers <- answer{t, err}
		}()
	}
	var found *answer
	var errs []error
	for range readers {
		a := <-answers // also from those that were told to stop: whoever starts a request waits for its end
		switch {
		case found != nil:
		case a.err == nil || errors.Is(a.err, errSigned):
			found = &a
			cancel()
		default:
			errs = append(errs, a.err)
		}
	}
	cancel()
	if found != nil {
		return found.t, found.err
	}
	return nil, errors.Join(errs...)
}

// readersFor are the operator's buckets and the one that the pointer names.
func (p *Peer) readersFor(ptr pointer.Pointer) []*bucket.Reader {
	readers := slices.Clone(p.buckets)
	if ptr.BaseURL == "" || p.isConfigured(ptr.BaseURL) {
		return readers
	}
	if r, err := bucket.NewReader(ptr.BaseURL, p.http); err == nil {
		readers = append(readers, r)
	}
	return readers
}

func torrentFrom(ctx context.Context, r *bucket.Reader, ptr pointer.Pointer) (*snapshot.Torrent, error) {
	b, err := r.Torrent(ctx, ptr.InfoHash)
	if err != nil {
		return nil, err
	}
	t, err := snapshot.ParseTorrent(b)
	if err != nil {
		if isSigned(b, ptr) {
			err = fmt.Errorf("%w: %w", errSigned, err)
		}
		return nil, fmt.Errorf("torrent from %s: %w", r, err)
	}
	if err := checkTorrent(r.String(), t, ptr); err != nil {
		return nil, err
	}
	if !t.Verifiable() {
		return nil, fmt.Errorf("torrent from %s is BitTorrent v2 only and lacks its piece layers", r)
	}
	return t, nil
}

// errSigned is about a torrent that is the very one that was signed and yet unusable: nobody can have a better one.
var errSigned = errors.New("the publisher signed it so")

// isSigned reports whether the torrent that b should be has the signed info-hash, whatever is in it.
func isSigned(b []byte, ptr pointer.Pointer) bool {
	var meta struct {
		Info bencode.Bytes `bencode:"info"`
	}
	if bencode.Unmarshal(b, &meta) != nil {
		return false
	}
	if ptr.InfoHashV2 != nil {
		return sha256.Sum256(meta.Info) == *ptr.InfoHashV2
	}
	return sha1.Sum(meta.Info) == ptr.InfoHash
}

// checkTorrent compares what was found with what was signed.
func checkTorrent(from string, t *snapshot.Torrent, ptr pointer.Pointer) error {
	switch {
	case ptr.Names(t):
		return nil
	case ptr.InfoHash == t.InfoHash:
		return fmt.Errorf("torrent from %s matches by SHA-1 but not by SHA-256: it is forged", from)
	}
	return fmt.Errorf("torrent from %s has the info-hash %s, not the one asked for", from, t.InfoHash)
}

// torrentFromPeers asks peers for the metadata alone.
func (p *Peer) torrentFromPeers(ctx context.Context, ptr pointer.Pointer) (*snapshot.Torrent, error) {
	t, err := p.client.Metadata(ctx, swarm.AddOptions{
		InfoHash: ptr.InfoHash, InfoHashV2: ptr.InfoHashV2, InfoSHA256: cmp.Or(ptr.InfoSHA256, ptr.InfoHashV2),
	})
	if errors.Is(err, snapshot.ErrBadTorrent) { // it has the signed hash
		err = fmt.Errorf("%w: %w", errSigned, err)
	}
	return t, err
}

// foundOrigins are the addresses that belong into the torrent on disk: those it came with and the
// one that the signed base address gives.
func (p *Peer) foundOrigins(salt string, v snapshot.Version, t *snapshot.Torrent, ptr pointer.Pointer) []string {
	list := slices.Clone(t.Origins)
	if ptr.BaseURL != "" {
		if r, err := bucket.NewReader(ptr.BaseURL, p.http); err == nil {
			list = append([]string{r.URL(bucket.ArchiveKey(salt, v, t.Name))}, list...)
		}
	}
	return distinct(list)
}

// origins are all addresses of an archive, the operator's own first.
func (p *Peer) origins(salt string, v snapshot.Version, t *snapshot.Torrent) []string {
	var list []string
	for _, b := range p.buckets {
		list = append(list, b.URL(bucket.ArchiveKey(salt, v, t.Name)))
	}
	return distinct(append(list, t.Origins...))
}

// distinct keeps the first of equal strings, in order.
func distinct(list []string) []string {
	var out []string
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
