package dht

import (
	"net/netip"
	"time"
)

// recent remembers addresses for a while, and a bounded number of them. Its owner locks.
type recent struct {
	keep time.Duration
	max  int
	at   map[netip.AddrPort]time.Time
}

func newRecent(keep time.Duration, limit int) recent {
	return recent{keep: keep, max: limit, at: make(map[netip.AddrPort]time.Time)}
}

func (r recent) has(a netip.AddrPort, now time.Time) bool {
	at, ok := r.at[a]
	return ok && now.Sub(at) < r.keep
}

func (r recent) add(a netip.AddrPort, now time.Time) {
	if _, ok := r.at[a]; !ok && len(r.at) >= r.max {
		r.makeRoom(now)
	}
	r.at[a] = now
}

func (r recent) remove(a netip.AddrPort) { delete(r.at, a) }

// makeRoom forgets what is too old, and if nothing is, any half.
func (r recent) makeRoom(now time.Time) {
	for a, at := range r.at {
		if now.Sub(at) >= r.keep {
			delete(r.at, a)
		}
	}
	for a := range r.at {
		if len(r.at) <= r.max/2 {
			return
		}
		delete(r.at, a)
	}
}
