package swarm

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

func TestScrubStateSurvivesEncoding(t *testing.T) {
	for _, want := range []scrubState{
		{next: 7, since: time.Unix(1_700_000_000, 0), finished: time.Unix(1_690_000_000, 0)},
		{next: 0, since: time.Unix(1, 0)},
	} {
		got, err := parseScrubState(want.encode(), 7)
		if err != nil || got != want {
			t.Errorf("after encoding: %+v, %v, want %+v", got, err, want)
		}
	}
	if _, err := parseScrubState(scrubState{next: 8, since: time.Unix(1, 0)}.encode(), 7); !errors.Is(err, errBadScrub) {
		t.Errorf("beyond the last piece: %v, want errBadScrub", err)
	}
}

func FuzzParseScrubState(f *testing.F) {
	f.Add([]byte("snapswarm scrub 1\nnext 3\nsince 1700000000\nfinished 0\n"))
	f.Add([]byte(scrubHeader))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseScrubState(b, 10)
		if err != nil {
			if !errors.Is(err, errBadScrub) {
				t.Errorf("error %v does not wrap errBadScrub", err)
			}
			return
		}
		if s.next > 10 || s.since.IsZero() {
			t.Errorf("%q is read as %+v", b, s)
		}
		if again, err := parseScrubState(s.encode(), 10); err != nil || again != s || !bytes.HasPrefix(b, []byte(scrubHeader)) {
			t.Errorf("%q is %+v, and after encoding %+v, %v", b, s, again, err)
		}
	})
}

// The turn goes to the one that was read through longest ago, and one that gives up waiting takes none with it.
func TestTurnsGoToTheLongestUnread(t *testing.T) {
	r := newScrubber(1)
	at := func(n int64) *scrub { return &scrub{state: scrubState{since: time.Unix(n, 0)}} }
	first := at(9)
	if err := r.turn(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	var order []int64
	turns := make(chan int64)
	for _, n := range []int64{5, 3, 8} {
		go func() {
			s := at(n)
			if r.turn(t.Context(), s) == nil {
				turns <- n
			}
		}()
	}
	for waiting := 0; waiting < 3; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		waiting = len(r.waiting)
		r.mu.Unlock()
	}
	r.done()
	for range 3 {
		order = append(order, <-turns)
		r.done()
	}
	if order[0] != 3 || order[1] != 5 || order[2] != 8 {
		t.Errorf("turns went to %v, want 3, 5, 8", order)
	}
}
