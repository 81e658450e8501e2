package swarm

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
)

func testOrigins(urls ...string) *originSet {
	s := &originSet{
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
			o := s.choose(now)
			if o == nil {
				t.Fatalf("%s: no origin at failure %d", tc.result, n+1)
			}
			s.failed(o, now, now, &fetchError{result: tc.result, err: errors.New("x")})
			if wait := o.retryAt.Sub(now); wait < most/2 || wait > most {
				t.Errorf("%s: wait after failure %d = %v, want %v to %v", tc.result, n+1, wait, most/2, most)
			}
			if s.choose(o.retryAt.Add(-1)) != nil {
				t.Errorf("%s: origin is asked too early", tc.result)
			}
			now = o.retryAt
		}
	}
}

func TestRequestsUnderWayFailOnce(t *testing.T) {
	s := testOrigins("a")
	o := s.choose(time.Unix(0, 0))
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
	o := s.choose(now)
	s.failed(o, now, now, &fetchError{result: fetchBusy, retryAfter: 20 * time.Minute, err: errors.New("x")})
	if want := now.Add(20 * time.Minute); !o.retryAt.Equal(want) {
		t.Errorf("Retry-After of 20 minutes: retry at %v, want %v", o.retryAt, want)
	}
	now = o.retryAt
	if s.choose(now) == nil {
		t.Fatal("origin is not asked again")
	}
	o.inFlight = 1
	if s.choose(now) != nil {
		t.Error("a second request before the first one succeeded")
	}
	s.succeeded(o, 5)
	if s.choose(now) == nil {
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
		if s.choose(now) == liar {
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
