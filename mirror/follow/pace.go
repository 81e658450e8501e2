package follow

import (
	"math/rand/v2"
	"time"
)

// Times that are no settings, since nobody would know what to set.
const (
	tick       = time.Second      // how often progress is looked at
	reputEvery = time.Hour        // half of what DHT nodes keep an item for (BEP 44)
	firstRetry = 2 * time.Second  // after a first failure; doubled each time
	lastRetry  = 2 * time.Minute  // at most, while there is no pointer or torrent at all
	longRetry  = 30 * time.Minute // at most, for what reads or writes a whole archive
	openWithin = 5 * time.Minute  // one attempt to get a torrent from buckets and peers
	openFirst  = 30 * time.Second // the first one: then it is time to say what is wrong
	silence    = 2 * time.Minute  // a loop that did not turn for so long is dead
	spread     = 0.1              // of every period, so that mirrors do not act in step
)

// jitter is d, give or take a tenth.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - spread + 2*spread*rand.Float64()))
}

// sooner is d or a little less, never more: what is promised within d must not take longer.
func sooner(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 - 2*spread*rand.Float64()))
}

// backoff is how long to wait after the given number of failures in a row: doubled each time up to limit, with jitter.
func backoff(failures int, limit time.Duration) time.Duration {
	d := firstRetry
	for ; failures > 1 && d < limit; failures-- {
		d *= 2
	}
	return jitter(min(d, limit))
}

// attempt counts failures of one thing.
type attempt struct {
	failures int
	next     time.Time
}

func (a *attempt) fail(now time.Time, limit time.Duration) {
	a.failures++
	a.next = now.Add(backoff(a.failures, limit))
}
