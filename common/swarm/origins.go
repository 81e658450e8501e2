package swarm

import (
	"math/rand/v2"
	"time"
)

// fetchResult is how a request to an origin ended, in few words for logs and metrics.
type fetchResult string

const (
	fetchOK           fetchResult = "ok"
	fetchRefused      fetchResult = "refused"     // 4xx
	fetchBusy         fetchResult = "busy"        // 429, 503
	fetchServerError  fetchResult = "servererror" // other 5xx
	fetchUnreachable  fetchResult = "unreachable"
	fetchStalled      fetchResult = "stalled"
	fetchTruncated    fetchResult = "truncated"
	fetchIgnoresRange fetchResult = "ignoresrange"
	fetchWrongBytes   fetchResult = "wrongbytes"
	fetchCancelled    fetchResult = "cancelled"
)

// offence reports whether the origin lied, so that it must be left alone for longer than one in trouble.
func (r fetchResult) offence() bool { return r == fetchIgnoresRange || r == fetchWrongBytes }

// fetchError is why pieces did not come.
type fetchError struct {
	result     fetchResult
	retryAfter time.Duration // what the origin asked for, within limits
	err        error
}

func (e *fetchError) Error() string { return e.err.Error() }
func (e *fetchError) Unwrap() error { return e.err }

// origin is one URL of the file and how it has behaved.
type origin struct {
	url       string
	inFlight  int
	failures  int // in a row
	offences  int
	good      int // pieces since the last offence was forgiven
	failedAt  time.Time
	retryAt   time.Time
	lastError error
	bytes     int64
}

// originSet chooses among origins. It does no I/O and reads no clock.
type originSet struct {
	list []*origin
	rng  *rand.Rand
	// The delays after failures in a row, and after lies.
	backoff, penance backoffRange
}

// backoffRange is a delay that grows by factor from first to most.
type backoffRange struct {
	first, most time.Duration
	factor      int
}

// delay is how long to wait after the n-th time, n from 1, with up to half of it taken off at random, so that many clients do not
// come back at once.
func (r backoffRange) delay(n int, rng *rand.Rand) time.Duration {
	d := r.first
	for ; n > 1 && d < r.most; n-- {
		d *= time.Duration(r.factor)
	}
	d = min(d, r.most)
	return d - time.Duration(rng.Int64N(int64(d/2)+1))
}

// forgiveAfter is how many good pieces make up for one offence.
const forgiveAfter = 64

// set replaces the URLs; origins that stay keep their history.
func (s *originSet) set(urls []string) {
	old := make(map[string]*origin)
	for _, o := range s.list {
		old[o.url] = o
	}
	s.list = nil
	seen := make(map[string]bool)
	for _, u := range urls {
		if seen[u] {
			continue
		}
		seen[u] = true
		o := old[u]
		if o == nil {
			o = &origin{url: u}
		}
		s.list = append(s.list, o)
	}
}

// choose returns the origin to ask next, or nil if all are to be left alone now. One that failed last time is asked one thing at
// a time.
func (s *originSet) choose(now time.Time) *origin {
	var best *origin
	for _, i := range s.rng.Perm(len(s.list)) {
		o := s.list[i]
		if now.Before(o.retryAt) || (o.failures > 0 && o.inFlight > 0) {
			continue
		}
		if best == nil || o.failures+o.offences < best.failures+best.offences ||
			o.failures+o.offences == best.failures+best.offences && o.inFlight < best.inFlight {
			best = o
		}
	}
	return best
}

// succeeded counts a good piece.
func (s *originSet) succeeded(o *origin, bytes int64) {
	o.failures = 0
	o.bytes += bytes
	o.good++
	if o.good >= forgiveAfter && o.offences > 0 {
		o.offences--
		o.good = 0
	}
}

// failed counts a failure of a request that began at started. Requests that were under way when another one failed tell
// nothing new.
func (s *originSet) failed(o *origin, started, now time.Time, e *fetchError) {
	o.lastError = e
	if started.Before(o.failedAt) {
		return
	}
	o.failedAt = now
	var wait time.Duration
	if e.result.offence() {
		o.offences++
		o.good = 0
		wait = s.penance.delay(o.offences, s.rng)
	} else {
		wait = s.backoff.delay(o.failures+1, s.rng)
	}
	o.failures++
	o.retryAt = now.Add(max(wait, e.retryAfter))
}
