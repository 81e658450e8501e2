package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"snapswarm/common/bucket"
	"snapswarm/common/daemon"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// Open makes the snapshot that rec names a holding: its torrent is read from the buckets or from
// peers (BEP 9), whichever has it first, checked against the signed hashes, and written to disk.
// Nothing is fetched before [swarm.Snapshot.Start] or [swarm.Snapshot.WaitPiece]. Opening what is held
// already returns the holding. Without ctx ending, Open tries until somebody has the torrent.
func (p *Peer) Open(ctx context.Context, ch snapshot.Channel, rec pointer.Record) (*Holding, error) {
	return p.OpenIf(ctx, ch, rec, func(*snapshot.Torrent) error { return nil })
}

// OpenIf is [Peer.Open] for who has a condition: what is not held yet becomes a holding only if allowed returns nil, and its error is
// that of OpenIf otherwise.
func (p *Peer) OpenIf(ctx context.Context, ch snapshot.Channel, rec pointer.Record, allowed func(*snapshot.Torrent) error) (*Holding, error) {
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
	if err := allowed(t); err != nil {
		return nil, err
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
