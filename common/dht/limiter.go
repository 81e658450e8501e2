package dht

import (
	"net/netip"
	"sync"
	"time"
)

// limiter lets each source do something a number of times at once and so many times per second
// after that. It remembers a bounded number of sources.
type limiter struct {
	burst  float64
	perSec float64
	max    int

	mu      sync.Mutex
	buckets map[netip.AddrPort]bucket // guarded by mu
}

// bucket is what a source has left, as of a time.
type bucket struct {
	left float64
	at   time.Time
}

func newLimiter(burst int, perSec float64, limit int) *limiter {
	return &limiter{burst: float64(burst), perSec: perSec, max: limit, buckets: make(map[netip.AddrPort]bucket)}
}

// allow takes one from what ip has left.
func (l *limiter) allow(who netip.AddrPort, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets[who]
	if !ok {
		l.makeRoom(now)
		b = bucket{left: l.burst, at: now}
	}
	b.left = l.refilled(b, now)
	b.at = now
	allowed := b.left >= 1
	if allowed {
		b.left--
	}
	l.buckets[who] = b
	return allowed
}

func (l *limiter) refilled(b bucket, now time.Time) float64 {
	return min(l.burst, b.left+max(0, now.Sub(b.at).Seconds())*l.perSec)
}

// makeRoom forgets sources that have everything left, and if there are none, any one: who can
// send as that many is not stopped by this limit anyway. Caller holds l.mu.
func (l *limiter) makeRoom(now time.Time) {
	if len(l.buckets) < l.max {
		return
	}
	for who, b := range l.buckets {
		if l.refilled(b, now) >= l.burst {
			delete(l.buckets, who)
		}
	}
	for who := range l.buckets {
		if len(l.buckets) < l.max {
			return
		}
		delete(l.buckets, who)
	}
}
