package publish

import (
	"context"
	"errors"
	"fmt"
	"os"

	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// retain removes what is no longer wanted, after a newer snapshot is out: what unfinished runs left in the bucket, and the
// versions that [Retention] lets go.
func (r *run) retain(ctx context.Context) error {
	for _, a := range r.journal.begun() { // first: they must not count as versions
		if err := r.removeAttempt(ctx, a); err != nil {
			return err
		}
	}
	_, removed, err := r.keep(ctx)
	r.report.Removed = removed
	return err
}

// Retain removes the versions that its plan lets go. It returns the plan and what was removed also beside an error.
func (p *Publisher) Retain(ctx context.Context) (plan Retention, removed []snapshot.Version, err error) {
	if err := p.awaitTurn(ctx); err != nil {
		return plan, nil, err
	}
	defer func() { <-p.publishing }()
	if err := p.Hold(ctx); err != nil {
		return plan, nil, err
	}
	ctx, unguard := p.lease.guard(ctx)
	defer unguard()
	return p.keep(ctx)
}

// keep plans and does what the plan says, nothing else. Caller holds p.publishing.
func (p *Publisher) keep(ctx context.Context) (plan Retention, removed []snapshot.Version, err error) {
	own, err := p.nearest(ctx)
	if err != nil {
		return plan, nil, err
	}
	if plan, err = PlanRetention(ctx, p.keeping(own.record)); err != nil {
		return plan, nil, err
	}
	var errs []error
	for _, v := range plan.Leaving() {
		if err := p.remove(ctx, v); err != nil {
			errs = append(errs, fmt.Errorf("remove version %s: %w", v.Version, err))
			continue
		}
		removed = append(removed, v.Version)
		p.cfg.Log.InfoContext(ctx, "old version removed", "channel", p.cfg.Salt, "version", string(v.Version), "why", v.Why)
	}
	return plan, removed, errors.Join(errs...)
}

// keeping is what retention is planned from, with the newest record that is known here.
func (p *Publisher) keeping(own pointer.Record) Keeping {
	k := Keeping{
		Channel: p.channel, DataDir: p.cfg.DataDir, Store: p.cfg.Store, Keep: p.cfg.Keep, Now: p.cfg.Now(), Log: p.cfg.Log,
		Sources: []pointer.Source{memory(own)},
	}
	if p.cfg.Public != nil {
		k.Sources = append(k.Sources, bucket.PointerSource(p.cfg.Public))
	}
	if p.cfg.Network != nil {
		k.Slow = append(k.Slow, others{p.cfg.Network})
	}
	return k
}

// memory is the newest record that was signed or seen here; one without a sequence number is none.
type memory pointer.Record

func (m memory) Name() string { return "this machine's memory" }

func (m memory) Lookup(context.Context, snapshot.Channel) ([]pointer.Record, error) {
	return []pointer.Record{pointer.Record(m)}, nil
}

// others are the nodes of the DHT.
type others struct{ Network }

func (o others) Name() string { return "the DHT" }

// remove deletes a version everywhere.
func (p *Publisher) remove(ctx context.Context, v Retained) error {
	if err := p.delete(ctx, v.objects); err != nil {
		return err
	}
	if p.cfg.Network != nil {
		if err := p.cfg.Network.Drop(ctx, v.Version); err != nil {
			return err
		}
	}
	return os.RemoveAll(p.versionDir(v.Version))
}

func (r *run) torrentOf(ctx context.Context, key string) (*snapshot.Torrent, error) {
	b, err := r.cfg.Store.Get(ctx, key, snapshot.MaxTorrentSize)
	if err != nil {
		return nil, err
	}
	return snapshot.ParseTorrent(b)
}

func (p *Publisher) delete(ctx context.Context, objects []string) error {
	for _, key := range objects {
		if err := p.cfg.Store.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// removeAttempt deletes what an unfinished run left in the bucket; its files on this disk went before. Another producer
// with this key may have taken the same version, so only what is known to be ours goes.
func (r *run) removeAttempt(ctx context.Context, a attempt) error {
	if a.InfoHash == "" || a.InfoHash == r.known.pointer.InfoHash.String() {
		// Nothing was stored, or it did get as far as the pointer and only the journal did not hear of it.
		return r.journal.forget(a.Version)
	}
	if err := r.sweep(ctx, bucket.ArchiveKey(r.cfg.Salt, a.Version, a.File)); err != nil {
		return fmt.Errorf("remove what is left of %s: %w", a.Version, err)
	}
	objects := []string{infoHashKey(a)} // whose content its name says
	ours, err := r.isStored(ctx, a)
	if ours {
		objects = append(attemptKeys(r.cfg.Salt, a), objects...)
	}
	if err == nil {
		err = r.delete(ctx, objects)
	}
	if err != nil {
		return fmt.Errorf("remove what is left of %s: %w", a.Version, err)
	}
	return r.journal.forget(a.Version)
}

// isStored reports whether the archive and the torrent that lie in the bucket under the attempt's version are its own.
// Where the upload ended before the torrent, the archive's size has to do.
func (r *run) isStored(ctx context.Context, a attempt) (bool, error) {
	t, err := r.torrentOf(ctx, bucket.TorrentKey(r.cfg.Salt, a.Version, a.File))
	switch {
	case err == nil:
		return t.InfoHash.String() == a.InfoHash, nil
	case errors.Is(err, snapshot.ErrBadTorrent):
		return false, nil
	case !errors.Is(err, bucket.ErrNotFound):
		return false, err
	}
	info, err := r.cfg.Store.Stat(ctx, bucket.ArchiveKey(r.cfg.Salt, a.Version, a.File))
	if errors.Is(err, bucket.ErrNotFound) {
		return false, nil
	}
	return err == nil && info.Size == a.Size, err
}
