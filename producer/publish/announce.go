package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
)

// announce moves the pointer: signed, persisted on this machine, then into the bucket, then into the DHT. The last is
// allowed to fail: the bucket tells the snapshot, and a serving producer puts it again.
func (r *run) announce(ctx context.Context) error {
	r.signing.Lock()
	defer r.signing.Unlock()
	if err := r.checkOvertaken(ctx); err != nil {
		return err
	}
	if r.cfg.Network != nil {
		if err := r.cfg.Network.Seed(ctx, r.torrent); err != nil {
			r.cfg.Log.WarnContext(ctx, "the new snapshot is not shared with peers", "channel", r.cfg.Salt, "error", err)
		}
	}
	r.touched = true
	rec, ptr, err := r.sign(r.pointer(), r.known.record.Seq)
	if err != nil {
		return err
	}
	r.record, r.report.Expires = rec, ptr.Expires
	last := published{Version: r.version, Fingerprint: r.req.Source.Fingerprint, At: r.cfg.Now().UTC()}
	if err := r.journal.publish(last); err != nil {
		return err
	}
	if err := r.store(ctx, rec); err != nil {
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
// what that one published. Caller holds r.signing.
func (r *run) checkOvertaken(ctx context.Context) error {
	var now known
	rec, stored, err := r.stored(ctx)
	if err != nil {
		return err
	}
	own, signed, err := r.ratchet.Last(r.channel)
	if err != nil {
		return err
	}
	if stored {
		err = now.take(rec)
	}
	if err == nil && signed {
		err = now.take(own)
	}
	if err != nil || now.record.Seq <= r.known.record.Seq {
		return err
	}
	if now.pointer.InfoHash == r.known.pointer.InfoHash && now.record.Seq == own.Seq {
		return nil // renewed by this process
	}
	r.known = now
	if err := r.removeAttempt(ctx, r.attempt()); err != nil {
		r.cfg.Log.WarnContext(ctx, "what was stored goes with the next publication", "channel", r.cfg.Salt, "error", err)
	}
	return fmt.Errorf("%w: its pointer has seq %d and names %s; nothing was signed here. Let only one producer use the key",
		ErrOvertaken, now.record.Seq, now.pointer.InfoHash)
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

// sign makes the next record of the channel, later than any seen before, and persists it here before anybody else can
// have it: after a crash no sequence number is ever used for two values. Caller holds p.signing.
func (p *Publisher) sign(ptr pointer.Pointer, newestSeq int64) (pointer.Record, pointer.Pointer, error) {
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
	// Its own time is used as the clock: a clock that has gone back must not forbid us to go on.
	return rec, ptr, p.ratchet.Accept(p.channel, rec, rec.Time())
}

// store puts rec into the bucket.
func (p *Publisher) store(ctx context.Context, rec pointer.Record) error {
	err := put(ctx, p.cfg.Store, bucket.PointerKey(p.cfg.Salt), rec.Encode())
	p.unsent.Store(err != nil)
	if err == nil {
		p.told.Store(&rec)
	}
	return err
}
