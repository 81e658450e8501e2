package swarm

import (
	"context"
	"sync"

	"golang.org/x/time/rate"
)

// scrubber lets the snapshots of a client take turns at being read again: one piece at a time, all together at a bounded rate.
type scrubber struct {
	limit  *rate.Limiter
	buffer []byte // of who has the turn

	mu      sync.Mutex // guards what follows
	busy    bool
	waiting map[*scrub]chan struct{} // closed when it has the turn
}

// newScrubber returns nil, which never gives a turn, for a rate of 0.
func newScrubber(bytesPerSecond int64) *scrubber {
	if bytesPerSecond <= 0 {
		return nil
	}
	return &scrubber{
		limit: rate.NewLimiter(rate.Limit(bytesPerSecond), rereadStep), buffer: newRereadBuffer(), waiting: make(map[*scrub]chan struct{}),
	}
}

// turn waits until s may read a piece; the caller then calls done. Of several, it is for the one that was read through longest ago:
// each is read as often as the others, however large it is, and a restart goes on with the one that was at it.
func (r *scrubber) turn(ctx context.Context, s *scrub) error {
	granted := make(chan struct{})
	r.mu.Lock()
	r.waiting[s] = granted
	r.next()
	r.mu.Unlock()
	select {
	case <-granted:
		return nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, waits := r.waiting[s]; !waits { // it was granted meanwhile
		r.busy = false
		r.next()
	}
	delete(r.waiting, s)
	return context.Cause(ctx)
}

func (r *scrubber) done() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy = false
	r.next()
}

// next gives the turn to somebody. The caller holds mu.
func (r *scrubber) next() {
	var first *scrub
	for s := range r.waiting {
		if first == nil || s.before(first) {
			first = s
		}
	}
	if r.busy || first == nil {
		return
	}
	r.busy = true
	close(r.waiting[first])
	delete(r.waiting, first)
}
