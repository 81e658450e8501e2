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
	// bucketSeq is the sequence number in the bucket, 0 if there is none.
	bucketSeq int64
}

// take keeps rec if it is newer.
func (k *known) take(rec pointer.Record) error {
	if rec.Seq <= k.record.Seq {
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
	if r.known, err = r.newest(ctx); err != nil {
		return err
	}
	if err := r.checkHeight(ctx); err != nil {
		return err
	}
	r.warnOfNewName(ctx)
	return nil
}

// newest looks into the bucket, asks the network and this machine's own memory. The bucket has to answer: publishing
// over a pointer that nobody could read would break the history.
func (p *Publisher) newest(ctx context.Context) (known, error) {
	var k known
	if rec, ok, err := p.ratchet.Last(p.channel); err != nil {
		return k, err
	} else if ok {
		if err := k.take(rec); err != nil {
			return k, err
		}
	}
	rec, ok, err := p.stored(ctx)
	if err != nil {
		return k, err
	}
	if ok {
		k.bucketSeq = rec.Seq
		if err := k.take(rec); err != nil {
			return k, err
		}
	}
	if p.cfg.Network == nil {
		return k, nil
	}
	err = p.fromNetwork(ctx, &k)
	return k, err
}

// stored reads the bucket's pointer. One that is damaged counts as none, because publishing mends it; one of another key
// is an ErrForeignPointer.
func (p *Publisher) stored(ctx context.Context) (rec pointer.Record, ok bool, err error) {
	key := bucket.PointerKey(p.cfg.Salt)
	b, err := p.cfg.Store.Get(ctx, key, bucket.MaxPointerSize)
	if errors.Is(err, bucket.ErrNotFound) {
		return rec, false, nil
	}
	if err == nil {
		rec, err = pointer.ParseRecord(b)
	} else if !errors.Is(err, bucket.ErrTooLarge) {
		return rec, false, err
	}
	if err == nil {
		err = rec.Verify(p.channel)
	}
	if errors.Is(err, pointer.ErrWrongChannel) && rec.Verify(rec.Channel()) == nil {
		return rec, false, fmt.Errorf("%w: %s in %s was signed with key %x, ours is %x; choose another DHT_SALT, bucket or prefix",
			ErrForeignPointer, key, p.cfg.Store, rec.Key, p.channel.Key)
	}
	if err != nil {
		p.cfg.Log.WarnContext(ctx, "the bucket's pointer is damaged; publishing replaces it", "key", key, "error", err)
		return pointer.Record{}, false, nil
	}
	return rec, true, nil
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
