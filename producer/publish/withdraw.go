package publish

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

var (
	// ErrNotNewest means that the pointer names another version than the one to withdraw.
	ErrNotNewest = errors.New("cannot be withdrawn")
	// ErrNothingBefore means that there is no version that readers could go back to.
	ErrNothingBefore = errors.New("nothing to go back to")
)

// Withdrawal says what a withdrawal did.
type Withdrawal struct {
	Channel     string            `json:"channel"`
	Withdrawn   snapshot.Version  `json:"withdrawn"`
	Version     snapshot.Version  `json:"version"` // that the pointer names now
	File        string            `json:"file"`
	Height      uint64            `json:"height,omitempty"`
	Size        int64             `json:"size"`
	InfoHash    snapshot.InfoHash `json:"info_hash"`
	Seq         int64             `json:"seq"`
	Expires     time.Time         `json:"expires"`
	URL         string            `json:"url,omitempty"`
	Removed     bool              `json:"removed"` // the files of the withdrawn version
	RemoveError string            `json:"remove_error,omitempty"`
}

// Withdraw signs the pointer to the version before v, which the pointer must name. That one has to lie whole in the bucket
// and is probed first, as a new snapshot is; until then the pointer stays where it is. Readers follow, because the
// sequence number grows. The files of v stay, for those who have begun with them, unless remove is set; they are newer
// than the newest then, and do not count as a version to keep later.
//
// What v was made of counts as published: a source that has not changed is not published again by [Publisher.Watch].
func (p *Publisher) Withdraw(ctx context.Context, v snapshot.Version, remove bool) (Withdrawal, error) {
	if err := p.awaitTurn(ctx); err != nil {
		return Withdrawal{}, err
	}
	defer func() { <-p.publishing }()
	if err := p.cfg.Store.Check(ctx); err != nil {
		return Withdrawal{}, err
	}
	if err := p.Hold(ctx); err != nil {
		return Withdrawal{}, err
	}
	ctx, unguard := p.lease.guard(ctx)
	defer unguard()
	w, err := p.withdraw(ctx, v)
	if err != nil || !remove {
		return w, err
	}
	if err := p.removeWithdrawn(ctx, v); err != nil { // the withdrawal has succeeded
		w.RemoveError = err.Error()
		return w, nil
	}
	w.Removed = true
	return w, nil
}

func (p *Publisher) withdraw(ctx context.Context, v snapshot.Version) (Withdrawal, error) {
	k, err := p.newest(ctx)
	if err != nil {
		return Withdrawal{}, err
	}
	before, err := p.before(ctx, k, v)
	if err != nil {
		return Withdrawal{}, err
	}
	if err := p.checkWhole(ctx, before); err != nil {
		return Withdrawal{}, err
	}
	p.signing.Lock()
	defer p.signing.Unlock()
	rec, ptr, err := p.goBack(ctx, k, before)
	if err != nil {
		return Withdrawal{}, err
	}
	d := before.Description
	w := Withdrawal{
		Channel: p.channel.String(), Withdrawn: v, Version: d.Version, File: before.Name, Height: d.Height, Size: before.Length,
		InfoHash: before.InfoHash, Seq: rec.Seq, Expires: ptr.Expires,
	}
	if p.cfg.Public != nil {
		w.URL = p.cfg.Public.URL(keysOf(p.cfg.Salt, before).archive)
	}
	p.metrics.pointer(ctx, rec.Seq, ptr.Created, ptr.Expires)
	p.cfg.Log.WarnContext(ctx, "version withdrawn", "channel", p.cfg.Salt, "version", string(v), "now", string(d.Version), "seq", rec.Seq)
	return w, p.tellNetwork(ctx, rec)
}

// before finds the snapshot that v, which the pointer names, has replaced.
func (p *Publisher) before(ctx context.Context, k known, v snapshot.Version) (*snapshot.Torrent, error) {
	if k.record.Seq == 0 {
		return nil, fmt.Errorf("%w: channel %s", pointer.ErrNotFound, p.cfg.Salt)
	}
	newest, err := p.named(ctx, k.pointer)
	if err != nil {
		return nil, err
	}
	d := newest.Description
	switch {
	case d == nil:
		return nil, fmt.Errorf("%w: %s: what the pointer names, %s, was not published by this program", ErrNotNewest, v, newest.InfoHash)
	case d.Version != v:
		return nil, fmt.Errorf("%w: %s is not the newest version; the pointer names %s, and only that one can be withdrawn", ErrNotNewest, v, d.Version)
	case d.Previous.IsZero():
		return nil, fmt.Errorf("%w: %s is the first version of its channel", ErrNothingBefore, v)
	}
	t, err := findTorrent(ctx, pointer.Pointer{InfoHash: d.Previous}, p.cfg.Store, nil)
	if err == nil && t.Description == nil {
		err = errors.New("its torrent does not describe it")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: the version before %s, %s: %w", ErrNothingBefore, v, d.Previous, err)
	}
	return t, nil
}

// named is what a pointer names, from the bucket or, where that has lost it, from this disk.
func (p *Publisher) named(ctx context.Context, ptr pointer.Pointer) (*snapshot.Torrent, error) {
	t, err := findTorrent(ctx, ptr, p.cfg.Store, p.cfg.Public)
	if err == nil {
		return t, nil
	}
	v := snapshot.NewVersion(ptr.Created, ptr.Height)
	if t := torrentOnDisk(filepath.Join(p.cfg.DataDir, p.cfg.Salt, string(v))); t != nil && ptr.Names(t) {
		return t, nil
	}
	return nil, fmt.Errorf("the torrent that the pointer names: %w", err)
}

// checkWhole makes sure that readers can go back to t.
func (p *Publisher) checkWhole(ctx context.Context, t *snapshot.Torrent) error {
	k := keysOf(p.cfg.Salt, t)
	for key, size := range map[string]int64{k.archive: t.Length, k.torrent: int64(len(t.Encode()))} {
		info, err := p.cfg.Store.Stat(ctx, key)
		if err == nil && info.Size != size {
			err = fmt.Errorf("%s has %d bytes instead of %d", key, info.Size, size)
		} else if err != nil && !errors.Is(err, bucket.ErrNotFound) {
			return err
		}
		if err != nil {
			return fmt.Errorf("%w: version %s is not whole any more: %w", ErrNothingBefore, t.Description.Version, err)
		}
	}
	return p.prober().snapshot(ctx, k, t)
}

// goBack signs and stores the pointer to t in the place of what is known. Caller holds p.signing.
func (p *Publisher) goBack(ctx context.Context, k known, t *snapshot.Torrent) (pointer.Record, pointer.Pointer, error) {
	now, err := p.nearest(ctx)
	if err != nil {
		return pointer.Record{}, pointer.Pointer{}, err
	}
	if now.record.Seq > k.record.Seq && now.pointer.InfoHash != k.pointer.InfoHash { // not only renewed
		return pointer.Record{}, pointer.Pointer{}, overtaken(now.record)
	}
	k.bucket = now.bucket
	sum, d := t.InfoSHA256, t.Description
	ptr := pointer.Pointer{InfoHash: t.InfoHash, InfoSHA256: &sum, Created: d.Created, Height: d.Height}
	if t.HasV2() {
		ptr.InfoHashV2 = &sum
	}
	rec, ptr, err := p.sign(ptr, k)
	if err != nil {
		return rec, ptr, err
	}
	if err := p.store(ctx, rec, k.bucket); err != nil {
		return rec, ptr, fmt.Errorf("the pointer is signed, but not stored: %w", err)
	}
	return rec, ptr, nil
}

// removeWithdrawn deletes the files of v, which the pointer does not name any more.
func (p *Publisher) removeWithdrawn(ctx context.Context, v snapshot.Version) error {
	s, err := p.keeping(pointer.Record{}).stock(ctx)
	if err != nil {
		return err
	}
	for _, h := range s.held {
		if h.version == v {
			return p.remove(ctx, Retained{Version: v, objects: h.objects})
		}
	}
	return nil
}
