package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/durable"
	"snapswarm/common/pointer"
)

// announce moves the pointer: signed, persisted on this machine, then into the bucket, then into the DHT. The last is
// allowed to fail: the bucket tells the snapshot, and a serving producer puts it again.
func (r *run) announce(ctx context.Context) error {
	r.signing.Lock()
	defer r.signing.Unlock()
	if err := r.Hold(ctx); err != nil {
		return err
	}
	if err := r.checkOvertaken(ctx); err != nil {
		return err
	}
	// Beside its archive, the torrent makes a version of it.
	if err := durable.WriteFile(r.archivePath()+".torrent", r.torrent.Encode(), 0o644); err != nil {
		return err
	}
	if r.cfg.Network != nil {
		if err := r.cfg.Network.Seed(ctx, r.torrent); err != nil {
			r.cfg.Log.WarnContext(ctx, "the new snapshot is not shared with peers", "channel", r.cfg.Salt, "error", err)
		}
	}
	r.touched = true
	rec, ptr, err := r.sign(r.pointer(), r.known)
	if err != nil {
		return err
	}
	r.record, r.report.Expires = rec, ptr.Expires
	err = r.store(ctx, rec, r.known.bucket)
	if errors.Is(err, ErrOvertaken) {
		return errors.Join(err, r.takeBack(ctx))
	}
	last := published{Version: r.version, Source: r.req.Source.Path, Fingerprint: r.req.Source.Fingerprint, At: r.cfg.Now().UTC()}
	if err := r.journal.publish(last); err != nil {
		return err
	}
	if err != nil {
		return fmt.Errorf("the snapshot is stored, but not its pointer: %w", err)
	}
	if r.cfg.Network == nil {
		return nil
	}
	got, err := r.cfg.Network.Announce(ctx, rec)
	if errors.Is(err, ErrNoDHT) {
		return ctx.Err()
	}
	r.report.DHT = &got
	if err != nil {
		r.report.DHTError = err.Error()
		r.cfg.Log.WarnContext(ctx, "the pointer is in the bucket but not in the DHT; producer serve puts it again",
			"channel", r.cfg.Salt, "error", err)
	}
	return ctx.Err()
}

// checkOvertaken looks whether the bucket's pointer is still the one from the start of this run, or one that this
// process signed meanwhile for the same snapshot. Otherwise somebody else publishes with this key, and going on would undo
// what that one published. What it has seen is what the next record may replace. Caller holds r.signing.
func (r *run) checkOvertaken(ctx context.Context) error {
	now, err := r.nearest(ctx)
	if err != nil {
		return err
	}
	own, _, err := r.ratchet.Last(r.channel)
	if err != nil {
		return err
	}
	renewed := now.pointer.InfoHash == r.known.pointer.InfoHash && now.record.Seq == own.Seq // by this process
	if now.record.Seq <= r.known.record.Seq || renewed {
		r.known.bucket = now.bucket
		return nil
	}
	err = overtaken(now.record)
	r.known = now
	r.removeOwn(ctx)
	return err
}

func overtaken(by pointer.Record) error {
	names := "something unknown"
	if p, err := by.Pointer(); err == nil {
		names = p.InfoHash.String()
	}
	return fmt.Errorf("%w: its pointer has seq %d and names %s; ours is not out. Let only one producer use the key",
		ErrOvertaken, by.Seq, names)
}

// removeOwn deletes what this run has stored, as far as that is possible now.
func (r *run) removeOwn(ctx context.Context) {
	a := r.begun()
	a.InfoHash, a.Size = r.torrent.InfoHash.String(), r.archive.Size
	if err := r.removeAttempt(ctx, a); err != nil {
		r.cfg.Log.WarnContext(ctx, "what was stored goes with the next publication", "channel", r.cfg.Salt, "error", err)
	}
}

// takeBack makes the snapshot an unfinished one again, after the bucket refused its pointer: nobody has seen that.
func (r *run) takeBack(ctx context.Context) (err error) {
	r.record, r.touched = pointer.Record{}, false
	if r.known, err = r.nearest(ctx); err != nil {
		return err
	}
	if r.cfg.Network != nil {
		if err := r.cfg.Network.Drop(ctx, r.version); err != nil {
			return err
		}
	}
	r.removeOwn(ctx)
	return nil
}

func (r *run) pointer() pointer.Pointer {
	sum := r.torrent.InfoSHA256
	ptr := pointer.Pointer{
		InfoHash: r.torrent.InfoHash, InfoSHA256: &sum,
		Created: r.version.Time(), Height: r.req.Height,
	}
	if r.torrent.HasV2() {
		ptr.InfoHashV2 = &sum
	}
	return ptr
}

// sign makes the record that replaces what is known, later than any seen before, and persists it here before anybody else can
// have it: after a crash no sequence number is ever used for two values. It fails with an [ErrHeld] or another error without
// the channel's lease, see [Publisher.Hold]. Caller holds p.signing.
func (p *Publisher) sign(ptr pointer.Pointer, k known) (pointer.Record, pointer.Pointer, error) {
	if _, err := p.LeaseHealth(); err != nil {
		return pointer.Record{}, ptr, fmt.Errorf("sign without the channel's lease: %w", err)
	}
	newestSeq := k.record.Seq
	last, ok, err := p.ratchet.Last(p.channel)
	if err != nil {
		return pointer.Record{}, ptr, err
	}
	if ok {
		newestSeq = max(newestSeq, last.Seq)
	}
	now := p.cfg.Now()
	seq := max(now.UnixMilli(), newestSeq+1)
	ptr.Expires = time.UnixMilli(seq).Add(p.cfg.TTL).Truncate(time.Second).UTC()
	if p.cfg.Public != nil {
		ptr.BaseURL = p.cfg.Public.String()
	}
	rec, err := pointer.Sign(p.cfg.Key, p.cfg.Salt, seq, ptr)
	if err != nil {
		return rec, ptr, err
	}
	if err := p.journal.signing(unsent{Seq: seq, Over: k.bucket.record.Seq}); err != nil {
		return rec, ptr, err
	}
	// Its own time is used as the clock: a clock that has gone back must not forbid us to go on.
	return rec, ptr, p.ratchet.Accept(p.channel, rec, rec.Time())
}

// store puts rec into the bucket, in the place of what was seen there. An [ErrOvertaken] means that something else lies there
// now: another producer did not wait for the end of our lease, or we were paused beyond it.
func (p *Publisher) store(ctx context.Context, rec pointer.Record, over storedPointer) error {
	key := bucket.PointerKey(p.cfg.Salt)
	_, err := p.cfg.Store.PutIf(ctx, key, rec.Encode(), over.etag, bucket.Defaults(key))
	switch {
	case errors.Is(err, bucket.ErrPrecondition):
		now, lookErr := p.stored(ctx)
		return errors.Join(overtaken(now.record), lookErr)
	case err != nil:
		p.unsent.Store(true)
		return err
	}
	return p.arrived(rec)
}

// arrived notes that the bucket holds rec.
func (p *Publisher) arrived(rec pointer.Record) error {
	p.unsent.Store(false)
	p.told.Store(&rec)
	return p.journal.sent(rec.Seq)
}
