package publish

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"snapswarm/common/pointer"
)

const (
	renewEvery   = 24 * time.Hour
	refreshEvery = time.Hour // items expire after two hours in the DHT (BEP 44)
	retryFirst   = time.Minute
	retryMost    = time.Hour
)

// ErrNoDHT means that no DHT is used, as the operator wants it.
var ErrNoDHT = errors.New("no DHT is configured")

// ErrNothingPublished means that the channel has no pointer yet that could be renewed.
var ErrNothingPublished = errors.New("nothing is published on the channel yet")

// Renew signs the newest pointer again, so that it does not expire: same snapshot, same creation time, new sequence
// number. The bucket has to take it; the DHT may fail.
func (p *Publisher) Renew(ctx context.Context) (pointer.Record, error) {
	p.signing.Lock()
	defer p.signing.Unlock()
	rec, err := p.renew(ctx)
	p.metrics.renewed(ctx, err)
	return rec, err
}

func (p *Publisher) renew(ctx context.Context) (pointer.Record, error) {
	if err := p.Hold(ctx); err != nil {
		return pointer.Record{}, err
	}
	k, err := p.newest(ctx)
	if err != nil {
		return pointer.Record{}, err
	}
	if k.record.Seq == 0 {
		return pointer.Record{}, ErrNothingPublished
	}
	rec, ptr, err := p.sign(k.pointer, k)
	if err != nil {
		return rec, err
	}
	p.metrics.pointer(ctx, rec.Seq, ptr.Created, ptr.Expires)
	if err := p.store(ctx, rec, k.bucket); err != nil {
		return rec, err
	}
	p.cfg.Log.InfoContext(ctx, "pointer renewed", "channel", p.cfg.Salt, "seq", rec.Seq, "expires", ptr.Expires)
	return rec, p.tellNetwork(ctx, rec)
}

// tellNetwork puts rec into the DHT. Only the end of ctx is an error: the hourly refresh tries again.
func (p *Publisher) tellNetwork(ctx context.Context, rec pointer.Record) error {
	if p.cfg.Network == nil {
		return nil
	}
	got, err := p.cfg.Network.Announce(ctx, rec)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(err, ErrNoDHT) {
		return nil
	}
	if err != nil {
		p.cfg.Log.WarnContext(ctx, "the pointer did not get into the DHT", "channel", p.cfg.Salt, "seq", rec.Seq, "error", err)
		return nil
	}
	p.cfg.Log.InfoContext(ctx, "pointer put into the DHT", "channel", p.cfg.Salt, "seq", rec.Seq,
		"stored", got.Stored, "read_back", got.ReadBack)
	return nil
}

// KeepAlive renews the pointer daily (more often if it expires sooner than in two days) and puts it into the DHT again
// where it was lost, hourly. It returns when ctx ends; failures are logged and tried again.
func (p *Publisher) KeepAlive(ctx context.Context) error {
	retry := p.retryAfter(ctx, p.settle(ctx), 0)
	unsettled := retry > 0
	refresh := time.Now().Add(jitter(refreshEvery))
	for {
		wait := max(retry, min(p.untilRenewal(), time.Until(refresh)))
		if unsettled {
			wait = retry
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		switch {
		case unsettled:
			retry = p.retryAfter(ctx, p.settle(ctx), retry)
			unsettled = retry > 0
		case p.untilRenewal() <= 0:
			_, err := p.Renew(ctx)
			retry = p.retryAfter(ctx, err, retry)
		}
		if time.Until(refresh) <= 0 {
			p.refresh(ctx)
			refresh = time.Now().Add(jitter(refreshEvery))
		}
	}
}

// retryAfter is how long to wait after a renewal that ended with err, when the one before had asked for last; 0 after one
// that succeeded.
func (p *Publisher) retryAfter(ctx context.Context, err error, last time.Duration) time.Duration {
	if err == nil || ctx.Err() != nil {
		return 0
	}
	wait := min(max(2*last, retryFirst), retryMost)
	p.cfg.Log.ErrorContext(ctx, "the pointer is not kept up to date", "channel", p.cfg.Salt, "error", err, "retry_in", wait)
	return wait
}

// settle makes the bucket and the DHT hold the newest record that was signed, which a crash may have kept here.
func (p *Publisher) settle(ctx context.Context) error {
	p.signing.Lock()
	defer p.signing.Unlock()
	if err := p.Hold(ctx); err != nil {
		return err
	}
	k, err := p.newest(ctx)
	if err != nil || k.record.Seq == 0 {
		return err
	}
	err = p.ratchet.Accept(p.channel, k.record, k.record.Time())
	if err != nil && !errors.Is(err, pointer.ErrOlder) { // older than one that did not get out, see obsolete
		return err
	}
	if k.record.Seq != k.bucket.record.Seq {
		err = p.store(ctx, k.record, k.bucket)
	} else {
		err = p.arrived(k.record)
	}
	if err != nil {
		return err
	}
	p.metrics.pointer(ctx, k.record.Seq, k.pointer.Created, k.pointer.Expires)
	return p.tellNetwork(ctx, k.record)
}

// untilRenewal is how long the newest pointer may wait, at most an hour at a time, so that a clock that was set or a
// machine that slept does not matter.
func (p *Publisher) untilRenewal() time.Duration {
	rec, ok, err := p.ratchet.Last(p.channel)
	if err != nil || !ok {
		return refreshEvery
	}
	due := rec.Time().Add(min(renewEvery, p.cfg.TTL/2))
	return min(max(due.Sub(p.cfg.Now()), 0), refreshEvery)
}

// refresh puts the newest record that the bucket has taken into the DHT again. One that it has not may never come out.
func (p *Publisher) refresh(ctx context.Context) {
	rec, ok, err := p.ratchet.Last(p.channel)
	if err != nil || !ok || p.cfg.Network == nil {
		return
	}
	if u, unsent := p.journal.unsent(); unsent && u.Seq == rec.Seq {
		told := p.told.Load()
		if told == nil {
			return
		}
		rec = *told
	}
	if err := p.cfg.Network.Refresh(ctx, rec); err != nil && ctx.Err() == nil && !errors.Is(err, ErrNoDHT) {
		p.cfg.Log.WarnContext(ctx, "pointer not refreshed in the DHT", "channel", p.cfg.Salt, "error", err)
	}
}

// jitter spreads d by a tenth to either side.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5)
}

// untold is why nothing is known of a pointer in the bucket.
func (p *Publisher) untold() error {
	_, signed, err := p.ratchet.Last(p.channel)
	switch {
	case err != nil:
		return err
	case signed:
		return fmt.Errorf("%s was not seen to hold the signed pointer yet", p.cfg.Store)
	}
	return ErrNothingPublished
}

// CheckStore finds out whether the bucket can be written to, see bucket.Store.
func (p *Publisher) CheckStore(ctx context.Context) error { return p.cfg.Store.Check(ctx) }

// Health is an error unless the bucket was seen to hold a pointer of the channel that is valid now.
func (p *Publisher) Health() (detail string, err error) {
	rec := p.told.Load()
	if rec == nil {
		return "", p.untold()
	}
	ptr, err := rec.Pointer()
	if err != nil {
		return "", err
	}
	if ptr.Stale(p.cfg.Now()) {
		return "", ErrStale
	}
	return fmt.Sprintf("seq %d names %s until %s", rec.Seq, ptr.InfoHash, ptr.Expires.Format(time.RFC3339)), nil
}
