package swarm

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

const testLength = 100 << 20

func testOrigins(urls ...string) *originSet {
	s := &originSet{
		length:  testLength,
		rng:     rand.New(rand.NewPCG(1, 2)),
		backoff: backoffRange{first: time.Second, most: time.Minute, factor: 2},
		penance: backoffRange{first: 30 * time.Second, most: time.Hour, factor: 4},
	}
	s.set(urls)
	return s
}

func TestFailuresDelayMoreAndMore(t *testing.T) {
	for _, tc := range []struct {
		result fetchResult
		most   []time.Duration // per failure in a row; at least half of it
	}{
		{fetchRefused, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute}},
		{fetchWrongBytes, []time.Duration{30 * time.Second, 2 * time.Minute, 8 * time.Minute, 32 * time.Minute, time.Hour, time.Hour}},
	} {
		s := testOrigins("a")
		now := time.Unix(0, 0)
		for n, most := range tc.most {
			o := s.choose(now, testLength)
			if o == nil {
				t.Fatalf("%s: no origin at failure %d", tc.result, n+1)
			}
			s.failed(o, now, now, &fetchError{result: tc.result, err: errors.New("x")})
			if wait := o.retryAt.Sub(now); wait < most/2 || wait > most {
				t.Errorf("%s: wait after failure %d = %v, want %v to %v", tc.result, n+1, wait, most/2, most)
			}
			if s.choose(o.retryAt.Add(-1), testLength) != nil {
				t.Errorf("%s: origin is asked too early", tc.result)
			}
			now = o.retryAt
		}
	}
}

func TestRequestsUnderWayFailOnce(t *testing.T) {
	s := testOrigins("a")
	o := s.choose(time.Unix(0, 0), testLength)
	for range 4 { // all began before the first failed
		s.failed(o, time.Unix(0, 0), time.Unix(1, 0), &fetchError{result: fetchRefused, err: errors.New("x")})
	}
	if o.failures != 1 {
		t.Errorf("failures = %d, want 1", o.failures)
	}
}

func TestFailedOriginIsProbedByOneRequest(t *testing.T) {
	s := testOrigins("a")
	now := time.Unix(0, 0)
	o := s.choose(now, testLength)
	s.failed(o, now, now, &fetchError{result: fetchBusy, retryAfter: 20 * time.Minute, err: errors.New("x")})
	if want := now.Add(20 * time.Minute); !o.retryAt.Equal(want) {
		t.Errorf("Retry-After of 20 minutes: retry at %v, want %v", o.retryAt, want)
	}
	now = o.retryAt
	if s.choose(now, testLength) == nil {
		t.Fatal("origin is not asked again")
	}
	o.inFlight = 1
	if s.choose(now, testLength) != nil {
		t.Error("a second request before the first one succeeded")
	}
	s.succeeded(o, 5)
	if s.choose(now, testLength) == nil {
		t.Error("not asked after a success")
	}
}

func TestOffencesAreForgivenSlowly(t *testing.T) {
	s := testOrigins("a", "b")
	now := time.Unix(0, 0)
	liar := s.list[0]
	s.failed(liar, now, now, &fetchError{result: fetchIgnoresRange, err: errors.New("x")})
	now = liar.retryAt
	s.succeeded(liar, 5)
	for range 20 {
		if s.choose(now, testLength) == liar {
			t.Fatal("a liar is preferred to an honest origin")
		}
	}
	for range forgiveAfter {
		s.succeeded(liar, 5)
	}
	if liar.offences != 0 {
		t.Errorf("offences = %d after %d good pieces", liar.offences, forgiveAfter)
	}
}

func TestSetKeepsHistory(t *testing.T) {
	s := testOrigins("a", "b", "a")
	if len(s.list) != 2 {
		t.Fatalf("%d origins, want 2", len(s.list))
	}
	s.list[0].bytes = 7
	s.set([]string{"c", "a"})
	if len(s.list) != 2 || s.list[1].bytes != 7 {
		t.Errorf("history of an origin that stays is lost: %+v", s.list)
	}
}

func TestTheFasterOriginGetsMore(t *testing.T) {
	s := testOrigins("slow", "fast")
	now := time.Unix(0, 0)
	slow, fast := s.list[0], s.list[1]
	slow.timed(4*time.Second, 1<<20)
	if got := s.choose(now, testLength); got != fast {
		t.Errorf("chose %s, want the one that nothing is known of", got.url)
	}
	fast.timed(time.Second, 1<<20)
	for range 10 {
		s.choose(now, testLength).inFlight++
	}
	if slow.inFlight != 2 || fast.inFlight != 8 {
		t.Errorf("%d requests to the slow and %d to the fast one, want 2 and 8", slow.inFlight, fast.inFlight)
	}
	s.failed(fast, now, now, &fetchError{result: fetchServerError, err: errors.New("x")})
	if got := s.choose(now, testLength); got != slow {
		t.Error("the origin that failed is not replaced by the other one")
	}
}

func TestDeepFilesAreSounded(t *testing.T) {
	const length = 100 << 30
	s := testOrigins()
	s.length = length
	s.set([]string{"a", "b"})
	now := time.Unix(0, 0)
	if got := s.depth(now); got != length {
		t.Errorf("depth before anything is known = %d, want the whole file", got)
	}
	a, b := s.list[0], s.list[1]
	for range 2 { // one probing request each
		s.choose(now, length).inFlight++
	}
	if a.inFlight != 1 || b.inFlight != 1 || s.choose(now, 1) != nil {
		t.Errorf("origins that were not sounded have %d and %d requests and may get more, want one each", a.inFlight, b.inFlight)
	}
	s.reaches(a, 5<<30, now)
	s.reaches(b, length, now)
	a.inFlight, b.inFlight = 0, 0
	for range 20 {
		if s.choose(now, 5<<30+1) != b {
			t.Fatal("asked an origin for more than it reaches")
		}
	}
	b.retryAt = now.Add(time.Hour)
	if got := s.depth(now); got != 5<<30 {
		t.Errorf("depth while the deep one is left alone = %d, want 5 GiB", got)
	}
	if s.choose(now, 5<<30) != a {
		t.Error("the shallow origin is not asked for what it has")
	}
	if s.choose(a.soundAt, length) != a {
		t.Error("the shallow origin is not sounded again")
	}
}
