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
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

// locateRetry is how long a round of asking all buckets for a torrent lies behind before the next.
const locateRetry = 10 * time.Second

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
