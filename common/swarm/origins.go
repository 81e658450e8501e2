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
	fetchUnsatisfied  fetchResult = "unsatisfied" // 416
	fetchShallow      fetchResult = "shallow"     // not asked: beyond the ranges it serves
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
	url      string
	inFlight int
	// depth is how many bytes, from the file's beginning, it serves ranges of; known once it was sounded, until soundAt.
	depth     int64
	sounded   bool
	soundAt   time.Time
	soundings int     // in a row that did not reach the end
	pace      float64 // seconds a byte takes in one request, smoothed; 0: not asked yet
	failures  int     // in a row
	offences  int
	good      int // pieces since the last offence was forgiven
	failedAt  time.Time
	retryAt   time.Time
	lastError error
	bytes     int64
}

// originSet chooses among origins. It does no I/O and reads no clock.
type originSet struct {
	list   []*origin
	rng    *rand.Rand
	length int64 // of the file
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
			o = &origin{url: u, depth: s.length, sounded: s.length <= shallow}
		}
		s.list = append(s.list, o)
	}
}

// choose returns the origin to ask next for bytes before end, or nil if all are to be left alone now. One that failed last time,
// or has not been sounded, is asked one thing at a time.
func (s *originSet) choose(now time.Time, end int64) *origin {
	s.doubt(now)
	var best *origin
	for _, i := range s.rng.Perm(len(s.list)) {
		if o := s.list[i]; s.free(o, now, end) && (best == nil || o.better(best)) {
			best = o
		}
	}
	return best
}

// doubt lets origins that did not reach the end be sounded again when it is time.
func (s *originSet) doubt(now time.Time) {
	for _, o := range s.list {
		if o.sounded && o.depth < s.length && !now.Before(o.soundAt) {
			o.sounded = false
		}
	}
}

func (s *originSet) free(o *origin, now time.Time, end int64) bool {
	switch {
	case now.Before(o.retryAt):
		return false
	case o.failures > 0 || !o.sounded:
		return o.inFlight == 0
	}
	return end <= o.depth
}

// better prefers who has behaved better, then who is expected to be done with one more request sooner. Whoever is unknown is tried.
func (o *origin) better(than *origin) bool {
	if a, b := o.failures+o.offences, than.failures+than.offences; a != b {
		return a < b
	}
	if a, b := o.pace*float64(o.inFlight+1), than.pace*float64(than.inFlight+1); a != b {
		return a < b
	}
	return o.inFlight < than.inFlight
}

// paceMemory is how many requests pace is smoothed over.
const paceMemory = 4

// timed takes note of how long a request for so many bytes took that ended well.
func (o *origin) timed(took time.Duration, bytes int64) {
	pace := took.Seconds() / float64(bytes)
	if o.pace == 0 {
		o.pace = pace
		return
	}
	o.pace += (pace - o.pace) / paceMemory
}

// reaches takes note of the depth that a sounding found. One that is not the whole file is found again now and then: a proxy may
// have been mended.
func (s *originSet) reaches(o *origin, depth int64, now time.Time) {
	o.depth, o.sounded = depth, true
	if depth >= s.length {
		o.soundings = 0
		return
	}
	o.soundings++
	o.soundAt = now.Add(s.penance.delay(o.soundings, s.rng))
}

// depth is how far into the file any origin that may be asked now reaches.
func (s *originSet) depth(now time.Time) int64 {
	var depth int64
	for _, o := range s.list {
		switch {
		case now.Before(o.retryAt):
		case !o.sounded:
			return s.length
		default:
			depth = max(depth, o.depth)
		}
	}
	return depth
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
