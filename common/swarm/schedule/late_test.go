package schedule_test

import (
	"testing"
	"time"

	"snapswarm/common/swarm/schedule"
)

// slow is a mirror that has the first n pieces and sends now and then.
func slow(n int) schedule.Peer {
	p := mirror(50)
	for i := range n {
		p.Has.Add(i)
	}
	p.Delivered = p.News
	return p
}

// waiters are rules of mirrors that all lack what only one slow peer has, and their views. They have all but the first n pieces.
func waiters(mirrors, n int) ([]*schedule.Rule, []*schedule.View) {
	var rules []*schedule.Rule
	var views []*schedule.View
	for self := range mirrors {
		v := view(slow(n))
		for i := n; i < pieces; i++ {
			v.Have.Add(i)
			v.Wanted.Remove(i)
		}
		for id := range mirrors {
			if id != self {
				p := mirror(byte(id + 1))
				copy(p.Has, v.Have)
				v.Peers = append(v.Peers, p)
			}
		}
		rules, views = append(rules, newRule(byte(self+1))), append(views, v)
	}
	return rules, views
}

// second is how many pieces, and which, the waiters take in so many seconds; each comes to the one that took it at once.
func second(mirrors, n, seconds int) map[int]int {
	rules, views := waiters(mirrors, n)
	taken := make(map[int]int)
	for range seconds {
		for self, r := range rules {
			v := views[self]
			v.Now = v.Now.Add(time.Second)
			v.Fed = v.Now
			for i := range v.Peers {
				v.Peers[i].News, v.Peers[i].Delivered = v.Now, v.Now
			}
			for _, run := range r.Pick(v) {
				for i := run.First; i < run.First+run.N; i++ {
					taken[i]++
					v.Wanted.Remove(i)
				}
			}
		}
	}
	return taken
}

// What only a slow mirror has is taken again by the others, each piece by one of them, and no more than a sixteenth in all.
func TestWhatASlowMirrorHoldsIsTakenAgain(t *testing.T) {
	taken := second(4, 24, 40)
	if len(taken) == 0 {
		t.Error("all wait for the slow mirror for ever")
	}
	if len(taken) > pieces/16 {
		t.Errorf("%d pieces are taken again, want at most %d", len(taken), pieces/16)
	}
	for i, n := range taken {
		if n > 1 {
			t.Errorf("piece %d is taken again by %d mirrors", i, n)
		}
	}
}

func TestNothingIsTakenAgainSoonOrForOne(t *testing.T) {
	if taken := second(4, 4, 3); len(taken) > 0 {
		t.Errorf("%d pieces are taken again after 3 s, want none while they may still come", len(taken))
	}
	if taken := second(1, 4, 20); len(taken) > 0 {
		t.Errorf("%d pieces are taken again for one that waits alone, want none", len(taken))
	}
	if taken := second(4, 48, 20); len(taken) > 0 {
		t.Errorf("%d pieces are taken again of many, want none: the budget would not help", len(taken))
	}
}
