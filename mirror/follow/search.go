package follow

import (
	"context"
	"time"

	"snapswarm/common/pointer"
)

// remember takes up the pointer that an earlier run accepted, so that a restart works while nobody can be asked.
func (c *channel) remember(ctx context.Context) {
	if rec, ok := c.cfg.Peer.Newest(c.ch); ok {
		c.follow(ctx, rec, "earlier run")
	}
}

// search asks everybody for the pointer and sets timer to when that is done again.
func (c *channel) search(ctx context.Context, timer *time.Timer) {
	began := time.Now()
	c.beside(ctx, func() func() {
		res, err := c.cfg.Peer.Resolve(ctx, c.ch)
		return func() {
			if res.Known() {
				c.follow(ctx, res.Record, res.Source)
			}
			if ctx.Err() != nil {
				return
			}
			c.fault("pointer", err)
			timer.Reset(c.nextSearch(err, time.Since(began)))
		}
	})
}

// nextSearch is how long to wait after a search that took so long: from its beginning to that of the next one a poll interval
// passes at most, so that whatever is published is known an interval later, and the time of one search. While there is nothing to
// work with at all it is less.
func (c *channel) nextSearch(err error, took time.Duration) time.Duration {
	if err == nil || c.record.Seq != 0 {
		c.searches = 0
		return sooner(c.cfg.PollInterval) - took // at once if that is over
	}
	c.searches++
	return min(backoff(c.searches, lastRetry), sooner(c.cfg.PollInterval))
}

// follow makes rec the pointer if it is newer.
func (c *channel) follow(ctx context.Context, rec pointer.Record, source string) {
	if rec.Seq <= c.record.Seq {
		return
	}
	p, err := rec.Pointer()
	c.fault("pointer's value", err)
	if err != nil {
		return
	}
	c.log.InfoContext(ctx, "pointer found", "seq", rec.Seq, "signed", rec.Time(),
		"renewal", p.InfoHash == c.pointer.InfoHash, "infohash", p.InfoHash.String(), "expires", expiry(p), "source", source)
	if p.InfoHash != c.pointer.InfoHash {
		clear(c.attempts)
	}
	c.record, c.pointer = rec, p
}

// expiry is the expiry of p for people.
func expiry(p pointer.Pointer) string {
	if p.Expires.IsZero() {
		return "unknown"
	}
	return p.Expires.Format(time.RFC3339)
}

// reput keeps the pointer alive in the DHT, also that of a publisher who is gone.
func (c *channel) reput(ctx context.Context) {
	c.expired = false // to say it again
	rec := c.record
	if rec.Seq == 0 {
		return
	}
	c.beside(ctx, func() func() {
		err := c.cfg.Peer.Reput(ctx, rec)
		return func() {
			if ctx.Err() == nil {
				c.fault("re-put of the pointer", err)
			}
		}
	})
}

// expiry says, once an hour, that the publisher is silent.
func (c *channel) expiry(now time.Time) bool {
	stale := c.record.Seq != 0 && c.pointer.Stale(now)
	if stale && !c.expired {
		c.log.Warn("the pointer has expired: its publisher has not renewed it; seeding goes on, but what is seeded may be old",
			"expired", c.pointer.Expires, "signed", c.record.Time())
	}
	c.expired = stale
	return stale
}
