package catalog

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"snapswarm/common/pointer"
)

// reputInterval is how often the DHT is looked after; BEP 44 nodes forget items after two hours.
const reputInterval = time.Hour

// openTime is how long a torrent is looked for at least, however often pointers are.
const openTime = 10 * time.Second

// reputTimeout bounds one look at the DHT.
const reputTimeout = 2 * time.Minute

// follow keeps one channel up to date until ctx ends. From the beginning of one round to that of the next a poll interval passes at
// most, whatever was done meanwhile, so that what is published is known an interval later, and the time of one search.
func (c *Catalog) follow(ctx context.Context, ch *channel) {
	var aside sync.WaitGroup
	defer aside.Wait()
	ch.nextReput = c.cfg.Now().Add(jittered(reputInterval/4, rand.Float64()))
	for ctx.Err() == nil {
		began, interval := time.Now(), sooner(c.cfg.PollInterval, rand.Float64())
		if !c.update(ctx, ch, interval) {
			continue // the time is up, spent on a torrent that nobody has; a newer pointer may be out
		}
		c.discard(ctx, ch)
		if rec, due := c.reputDue(ch); due {
			aside.Go(func() { c.reput(ctx, ch.Salt, rec) })
		}
		c.pause(ctx, ch, interval-time.Since(began))
	}
}

// update looks for a newer pointer and opens what it names, for about the time patience. It reports whether the newest snapshot
// is open, or there is none.
func (c *Catalog) update(ctx context.Context, ch *channel, patience time.Duration) bool {
	began := time.Now()
	if err := c.peer.Resolve(ctx, ch.Channel); ctx.Err() == nil {
		c.reportSearch(ctx, ch, err)
	}
	c.refresh(ch)
	v := ch.view.Load()
	if !v.pointed {
		return true
	}
	c.reportStale(ctx, ch, v)
	limited, cancel := context.WithTimeout(ctx, max(patience-time.Since(began), openTime))
	defer cancel()
	if err := c.peer.Open(limited, ch.Channel, v.record); err != nil {
		if ctx.Err() == nil {
			c.reportOpen(ctx, ch, err)
		}
		// An error before its time, such as a full disk, waits for the next round.
		return !errors.Is(limited.Err(), context.DeadlineExceeded)
	}
	c.refresh(ch)
	c.begin(ctx, ch, v)
	return true
}

// begin fetches the newest version in the background, and no other.
func (c *Catalog) begin(ctx context.Context, ch *channel, before *view) {
	v := ch.view.Load()
	h, ok := v.holding(v.latest)
	if !ok {
		return
	}
	if v.latest != before.latest {
		c.log.InfoContext(ctx, "new snapshot", "channel", ch.Salt, "version", h.Version, "file", h.Torrent.Name,
			"size", h.Torrent.Length, "infohash", h.Torrent.InfoHash)
	}
	for _, old := range v.holdings {
		if old.Version != h.Version {
			old.Data.Stop()
		}
	}
	h.Data.Start()
}

// refresh shows what the peer has now.
func (c *Catalog) refresh(ch *channel) {
	next := view{holdings: c.peer.Holdings(ch.Salt)}
	next.record, next.pointed = c.peer.Newest(ch.Channel)
	p, err := next.record.Pointer()
	if err != nil { // accepted records are readable; without one there is nothing to point with
		next.pointed = false
	}
	before := ch.view.Load()
	next.latest = newestHolding(p, before.latest, next.holdings)
	if next.record.Seq == before.record.Seq && !holds(next.holdings, p) {
		next.openErr = before.openErr
	}
	ch.view.Store(&next)
}

// reportSearch says what keeps newer pointers from being found: once, and again when it changes or has gone away.
func (c *Catalog) reportSearch(ctx context.Context, ch *channel, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	switch {
	case text == ch.searchErr:
	case err != nil:
		c.log.WarnContext(ctx, "no newer pointer could be looked for", "channel", ch.Salt, "error", err)
	default:
		c.log.InfoContext(ctx, "pointers are found again", "channel", ch.Salt)
	}
	ch.searchErr = text
}

// reportOpen shows why the newest snapshot cannot be opened, and says it once.
func (c *Catalog) reportOpen(ctx context.Context, ch *channel, err error) {
	v := *ch.view.Load()
	if v.openErr == nil || v.openErr.Error() != err.Error() {
		c.log.WarnContext(ctx, "snapshot could not be opened", "channel", ch.Salt, "seq", v.record.Seq, "error", err)
	}
	v.openErr = err
	ch.view.Store(&v)
}

// reportStale warns once of each pointer that expired.
func (c *Catalog) reportStale(ctx context.Context, ch *channel, v *view) {
	p, err := v.record.Pointer()
	if err != nil || !p.Stale(c.cfg.Now()) || ch.staleSeq == v.record.Seq {
		return
	}
	ch.staleSeq = v.record.Seq
	c.log.WarnContext(ctx, "pointer has expired: the publisher has not been heard of; serving goes on",
		"channel", ch.Salt, "expired", p.Expires, "signed", v.record.Time())
}

// discard removes what need not be kept any more. It is out of the view before it is off the disk.
func (c *Catalog) discard(ctx context.Context, ch *channel) {
	v := *ch.view.Load()
	for _, h := range outdated(v.holdings, v.latest, c.cfg.Now()) {
		v.holdings = without(v.holdings, h.Version)
		next := v
		ch.view.Store(&next)
		if err := c.peer.Discard(ctx, ch.Salt, h.Version); err != nil {
			c.log.WarnContext(ctx, "old version could not be removed", "channel", ch.Salt, "version", h.Version, "error", err)
			continue
		}
		c.log.InfoContext(ctx, "old version removed", "channel", ch.Salt, "version", h.Version)
	}
}

// reputDue is the pointer if it is time to look after it in the DHT, also one that expired: only its publisher can say something
// newer.
func (c *Catalog) reputDue(ch *channel) (pointer.Record, bool) {
	v := ch.view.Load()
	if !v.pointed || c.cfg.Now().Before(ch.nextReput) {
		return pointer.Record{}, false
	}
	ch.nextReput = c.cfg.Now().Add(jittered(reputInterval, rand.Float64()))
	return v.record, true
}

// reput keeps a pointer alive in the DHT. It runs beside the loop.
func (c *Catalog) reput(ctx context.Context, salt string, rec pointer.Record) {
	limited, cancel := context.WithTimeout(ctx, reputTimeout)
	defer cancel()
	if err := c.peer.Reput(limited, rec); err != nil && ctx.Err() == nil {
		c.log.DebugContext(ctx, "pointer could not be stored in the DHT again", "channel", salt, "error", err)
	}
}

// pause waits for the next round. Meanwhile it says when the newest version is complete.
func (c *Catalog) pause(ctx context.Context, ch *channel, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	v := ch.view.Load()
	h, ok := v.holding(v.latest)
	var done <-chan struct{}
	if ok && !h.complete() {
		done = h.Data.Done()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-done:
			done = nil
			c.log.InfoContext(ctx, "snapshot is complete", "channel", ch.Salt, "version", h.Version)
		}
	}
}
