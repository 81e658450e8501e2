package swarm

import (
	"math/rand/v2"
	"testing"
	"time"
)

type pieces map[uint32]bool

func (p pieces) Contains(i uint32) bool { return p[i] }

// testSchedule has 64 pieces in units of 2.
func testSchedule(self byte) *schedule {
	s := newSchedule(OriginShared, [20]byte{self}, 64, 1<<20, rand.New(rand.NewPCG(uint64(self), 2)))
	s.slots, s.overdue, s.patience = 64, time.Second, time.Minute
	return s
}

// testView is that of a mirror that lacks everything, a second after progress.
func testView(peers ...peerView) view {
	now := time.Unix(1000, 0)
	return view{
		now: now, lastProgress: now, lastPeers: now,
		wanted: func(int) bool { return true }, held: noPieces{}, peers: peers,
	}
}

func picked(s *schedule, v view) pieces {
	all := make(pieces)
	for _, r := range s.pick(v) {
		for i := range r.n {
			all[uint32(r.first+i)] = true
		}
	}
	return all
}

func TestMirrorsDivideTheOriginAmongThemselves(t *testing.T) {
	const mirrors = 5
	taken := make(map[uint32]int)
	for self := byte(1); self <= mirrors; self++ {
		var others []peerView
		for id := byte(1); id <= mirrors; id++ {
			others = append(others, peerView{id: [20]byte{id}, mirror: true, has: pieces{}}) // oneself too: a connection to self
		}
		mine := picked(testSchedule(self), testView(others...))
		if len(mine) == 0 {
			t.Errorf("mirror %d takes nothing", self)
		}
		for i := range mine {
			taken[i]++
		}
	}
	for i := range uint32(64) {
		if taken[i] != 1 {
			t.Errorf("piece %d is taken by %d mirrors, want 1", i, taken[i])
		}
	}
}

func TestRankSpreadsEvenly(t *testing.T) {
	const mirrors, units = 10, 10_000
	var won [mirrors]int
	for u := range units {
		best, most := 0, uint64(0)
		for m := range mirrors {
			if r := rank(u, [20]byte{0: '-', 1: 'S', 19: byte(m)}); r >= most {
				best, most = m, r
			}
		}
		won[best]++
	}
	for m, n := range won {
		if n < units/mirrors*8/10 || n > units/mirrors*12/10 {
			t.Errorf("mirror %d is elected for %d of %d units, want about %d", m, n, units, units/mirrors)
		}
	}
}

func TestPickFollowsTheRule(t *testing.T) {
	holder := peerView{id: [20]byte{9}, mirror: true, has: pieces{0: true, 1: true, 2: true}}
	foreign := peerView{id: [20]byte{8}, has: pieces{}}
	tests := map[string]struct {
		change func(*schedule, *view)
		want   int // pieces
	}{
		"alone, everything":                {func(*schedule, *view) {}, 64},
		"a foreign peer is not elected":    {func(_ *schedule, v *view) { v.peers = []peerView{foreign} }, 64},
		"what a peer has is left to peers": {func(_ *schedule, v *view) { v.peers, v.held = []peerView{holder, foreign}, all64{} }, 0},
		"few in flight":                    {func(s *schedule, _ *view) { s.slots = 3 }, 6},
		"slots in use":                     {func(s *schedule, v *view) { s.slots, v.inFlight = 3, 2 }, 2},
		"no free slot":                     {func(s *schedule, v *view) { s.slots, v.inFlight = 3, 3 }, 0},
		"policy never":                     {func(s *schedule, _ *view) { s.policy = OriginNever }, 0},
		"policy always, though held":       {func(s *schedule, v *view) { s.policy, v.held = OriginAlways, all64{} }, 64},
		"patience is over, though held":    {func(_ *schedule, v *view) { v.held, v.now = all64{}, v.now.Add(time.Minute) }, 64},
		"only what is wanted": {func(_ *schedule, v *view) {
			v.wanted = func(i int) bool { return i == 7 || i == 30 || i == 31 }
		}, 3},
		"others' work is left to them": {func(_ *schedule, v *view) { v.peers = winners() }, 0},
		"others are overdue: one unit": {func(_ *schedule, v *view) {
			v.peers, v.lastProgress = winners(), v.now.Add(-2*time.Second)
		}, 2},
		"overdue, but something is in flight": {func(_ *schedule, v *view) {
			v.peers, v.lastProgress, v.inFlight = winners(), v.now.Add(-2*time.Second), 1
		}, 0},
		"in the grace nobody is asked yet": {func(s *schedule, v *view) { s.grace, v.started = time.Second, v.now }, 0},
		"grace ends with the first peer": {func(s *schedule, v *view) {
			s.grace, v.started, v.peers = time.Second, v.now, []peerView{foreign}
		}, 64},
		"grace ends with time": {func(s *schedule, v *view) { s.grace, v.started = time.Second, v.now.Add(-time.Second) }, 64},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s, v := testSchedule(1), testView()
			tc.change(s, &v)
			if got := len(picked(s, v)); got != tc.want {
				t.Errorf("picked %d pieces, want %d", got, tc.want)
			}
		})
	}
}

type all64 struct{}

func (all64) Contains(uint32) bool { return true }

// winners are so many mirrors that together they are elected for every unit.
func winners() []peerView {
	var peers []peerView
	for id := range byte(200) {
		peers = append(peers, peerView{id: [20]byte{2, id}, mirror: true, has: pieces{}})
	}
	return peers
}

func TestRunsStayInTheirUnitAndAreAdjacent(t *testing.T) {
	s := newSchedule(OriginShared, [20]byte{1}, 1000, 256<<10, rand.New(rand.NewPCG(1, 2)))
	s.slots, s.patience = 1000, time.Minute
	if s.unit != 16 {
		t.Fatalf("unit = %d pieces of 256 KiB, want 16", s.unit)
	}
	v := testView()
	v.wanted = func(i int) bool { return i%5 != 0 }
	for _, r := range s.pick(v) {
		for i := r.first; i < r.first+r.n; i++ {
			if i%5 == 0 {
				t.Errorf("run %+v holds piece %d, which is not wanted", r, i)
			}
		}
		if r.first/16 != (r.first+r.n-1)/16 {
			t.Errorf("run %+v leaves its unit", r)
		}
	}
}
