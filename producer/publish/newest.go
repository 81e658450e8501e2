package publish

import (
	"context"
	"errors"
	"fmt"

	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
)

// known is the newest pointer that anybody has heard of; the zero value means that there is none.
type known struct {
	record  pointer.Record
	pointer pointer.Pointer
	// bucket is what the bucket holds, whose place the next record takes.
	bucket storedPointer
}

// storedPointer is the bucket's pointer. One that is damaged has an ETag alone, none at all is the zero value.
type storedPointer struct {
	record pointer.Record
	etag   string
}

// take keeps rec if it is newer.
func (k *known) take(rec pointer.Record) error {
	if rec.Seq <= k.record.Seq { // a record that does not exist has 0
		return nil
	}
	p, err := rec.Pointer()
	if err != nil {
		return err
	}
	k.record, k.pointer = rec, p
	return nil
}

// resolve asks first whether the bucket can be written to, which gives an answer at once: all other requests are patient
// with a bucket that is away.
func (r *run) resolve(ctx context.Context) (err error) {
	if err := r.cfg.Store.Check(ctx); err != nil {
		return err
	}
	if err := r.Hold(ctx); err != nil {
		return err
	}
	if r.known, err = r.newest(ctx); err != nil {
		return err
	}
	if err := checkHeight(ctx, r.cfg.Log.With("channel", r.cfg.Salt), r.req, r.known.pointer.Height); err != nil {
		return err
	}
	r.warnOfNewName(ctx)
	return nil
}

// newest looks into the bucket, asks the network and this machine's own memory.
func (p *Publisher) newest(ctx context.Context) (known, error) {
	k, err := p.nearest(ctx)
	if err == nil && p.cfg.Network != nil {
		err = p.fromNetwork(ctx, &k)
	}
	return k, err
}

// nearest is newest without the network. The bucket has to answer: publishing over a pointer that nobody could read would
// break the history.
func (p *Publisher) nearest(ctx context.Context) (k known, err error) {
	if k.bucket, err = p.stored(ctx); err != nil {
		return k, err
	}
	if err := k.take(k.bucket.record); err != nil {
		return k, err
	}
	own, ok, err := p.ratchet.Last(p.channel)
	if err != nil || !ok {
		return k, err
	}
	if p.obsolete(own, k.bucket.record) {
		p.cfg.Log.WarnContext(ctx, "the last record signed here did not get out before another producer published; it is left out",
			"channel", p.cfg.Salt, "seq", own.Seq, "newest", k.bucket.record.Seq)
		return k, p.journal.replaced()
	}
	err = k.take(own)
	return k, err
}

// obsolete reports whether own was signed here to replace a record that another producer has replaced in the meantime.
func (p *Publisher) obsolete(own, stored pointer.Record) bool {
	u, ok := p.journal.unsent()
	return ok && u.Seq == own.Seq && stored.Seq != 0 && stored.Seq != own.Seq && stored.Seq != u.Over
}

// stored reads the bucket's pointer. One that is damaged counts as none, because publishing mends it; one of another key
// is an ErrForeignPointer.
func (p *Publisher) stored(ctx context.Context) (storedPointer, error) {
	key := bucket.PointerKey(p.cfg.Salt)
	found, err := p.cfg.Store.Find(ctx, key, bucket.MaxPointerSize)
	if errors.Is(err, bucket.ErrNotFound) {
		return storedPointer{}, nil
	}
	var rec pointer.Record
	if err == nil {
		rec, err = pointer.ParseRecord(found.Body)
	} else if !errors.Is(err, bucket.ErrTooLarge) {
		return storedPointer{}, err
	}
	if err == nil {
		err = rec.Verify(p.channel)
	}
	if errors.Is(err, pointer.ErrWrongChannel) && rec.Verify(rec.Channel()) == nil {
		return storedPointer{}, fmt.Errorf("%w: %s in %s was signed with key %x, ours is %x; choose another DHT_SALT, bucket or prefix",
			ErrForeignPointer, key, p.cfg.Store, rec.Key, p.channel.Key)
	}
	if err != nil {
		p.cfg.Log.WarnContext(ctx, "the bucket's pointer is damaged; publishing replaces it", "key", key, "error", err)
		info, err := p.cfg.Store.Stat(ctx, key)
		return storedPointer{etag: info.ETag}, err
	}
	return storedPointer{record: rec, etag: found.ETag}, nil
}

// fromNetwork asks the DHT and whatever else the network knows. Its silence is normal: it forgets what nobody renews.
func (p *Publisher) fromNetwork(ctx context.Context, k *known) error {
	res, err := p.cfg.Network.Resolve(ctx, p.channel)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		p.cfg.Log.DebugContext(ctx, "the network knows no pointer", "channel", p.cfg.Salt, "error", err)
	}
	if res.Known() && p.isOurs(res.Record) {
		return k.take(res.Record)
	}
	return nil
}

func (p *Publisher) isOurs(rec pointer.Record) bool { return rec.Verify(p.channel) == nil }
