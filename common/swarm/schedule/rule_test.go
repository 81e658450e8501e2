package schedule_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"snapswarm/common/swarm/schedule"
)

const pieces = 256 // in units of 2

var start = time.Unix(1_700_000_000, 0)

func newRule(self byte, change ...func(*schedule.Config)) *schedule.Rule {
	c := schedule.Config{
		Self: [20]byte{self}, Pieces: pieces, Unit: 2, Patience: time.Minute, Grace: time.Second, Overdue: 3 * time.Second,
	}
	for _, f := range change {
		f(&c)
	}
	return schedule.New(c, rand.New(rand.NewPCG(uint64(self), 2)))
}

func all() schedule.Set {
	s := schedule.NewSet(pieces)
	for i := range pieces {
		s.Add(i)
	}
	return s
}

// view is that of a mirror that lacks everything, ten seconds after its start.
func view(peers ...schedule.Peer) *schedule.View {
	now := start.Add(10 * time.Second)
	return &schedule.View{Now: now, Started: start, Fed: now, Have: schedule.NewSet(pieces), Wanted: all(), Peers: peers}
}

// mirror is a peer that has nothing yet and told of something just now.
func mirror(id ...byte) schedule.Peer {
	var b [20]byte
	copy(b[:], id)
	return schedule.Peer{Key: schedule.Key(b), Mirror: true, Has: schedule.NewSet(pieces), Connected: start, News: start.Add(10 * time.Second)}
}

// holder is a seed that delivers.
func holder() schedule.Peer {
	p := mirror(99)
	p.Complete, p.Has, p.Delivered = true, all(), p.News
	return p
}

// liar claims everything and gives nothing.
func liar() schedule.Peer {
	p := mirror(98)
	p.Complete, p.Has, p.News = true, all(), time.Time{}
	return p
}

// crowd is so many mirrors that this one is elected for nothing.
func crowd(n int) []schedule.Peer {
	var peers []schedule.Peer
	for i := range n {
		peers = append(peers, mirror(2, byte(i)))
	}
	return peers
}

func count(runs []schedule.Run) int {
	n := 0
	for _, r := range runs {
		n += r.N
	}
	return n
}

func TestPickFollowsTheRule(t *testing.T) {
	tests := map[string]struct {
		config func(*schedule.Config)
		view   func(*schedule.View)
		want   int // pieces
	}{
		"alone: as much as may be in flight":               {want: 4},
		"requests in use":                                  {view: func(v *schedule.View) { v.InFlight = 1 }, want: 2},
		"no request is free":                               {view: func(v *schedule.View) { v.InFlight = 2 }},
		"a foreign peer does not matter":                   {view: func(v *schedule.View) { v.Peers = foreign() }, want: 4},
		"what a peer brings is left to it":                 {view: func(v *schedule.View) { v.Peers = []schedule.Peer{holder()} }},
		"a liar does not count":                            {view: func(v *schedule.View) { v.Peers = []schedule.Peer{liar()} }, want: 4},
		"policy always, though a peer brings":              {config: always, view: func(v *schedule.View) { v.Peers = []schedule.Peer{holder()} }, want: 4},
		"patience is over, though a peer says":             {view: func(v *schedule.View) { v.Peers, v.Fed = []schedule.Peer{holder()}, v.Now.Add(-time.Minute) }, want: 4},
		"others are elected":                               {view: func(v *schedule.View) { v.Peers = crowd(200) }},
		"the uplink is busy":                               {view: func(v *schedule.View) { v.Peers = foreign(); having(v, 8) }},
		"a slow uplink is not ahead by much":               {view: func(v *schedule.View) { v.Peers, v.Uplink = foreign(), 0.5; having(v, 4) }},
		"a faster one is by more":                          {view: func(v *schedule.View) { v.Peers, v.Uplink = foreign(), 2; having(v, 4) }, want: 4},
		"nobody stops for a newcomer":                      {view: func(v *schedule.View) { v.Peers = foreign(); having(v, 40) }, want: 4},
		"the uplink has room but for what is coming":       {view: func(v *schedule.View) { v.Peers, v.InFlight = foreign(), 1 }, want: 2},
		"only what is wanted":                              {view: func(v *schedule.View) { v.Wanted = schedule.NewSet(pieces); v.Wanted.Add(7) }, want: 1},
		"in the grace a first peer is waited for":          {view: func(v *schedule.View) { v.Started = v.Now }},
		"without a way to find peers nobody is waited for": {view: func(v *schedule.View) { v.Started, v.Alone = v.Now, true }, want: 4},
		"peers are still connecting": {config: settle, view: func(v *schedule.View) {
			v.Peers, v.Started = foreign(), v.Now.Add(-time.Second/2)
			v.Peers[0].Connected = v.Now.Add(-time.Second / 4)
		}},
		"peers have connected": {config: settle, view: func(v *schedule.View) {
			v.Peers, v.Started = foreign(), v.Now.Add(-time.Second/2)
			v.Peers[0].Connected = v.Now.Add(-time.Second / 3)
		}, want: 4},
		"what the uplink moves in a second is no burden": {view: func(v *schedule.View) {
			v.Peers, v.Uplink = foreign(), 12
			having(v, 8)
		}, want: 4},
		"a peer that just connected may deliver": {view: func(v *schedule.View) {
			p := liar()
			p.Connected = v.Now
			v.Peers = []schedule.Peer{p}
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if tc.config == nil {
				tc.config = func(*schedule.Config) {}
			}
			v := view()
			if tc.view != nil {
				tc.view(v)
			}
			if got := count(newRule(1, tc.config).Pick(v)); got != tc.want {
				t.Errorf("picked %d pieces, want %d", got, tc.want)
			}
		})
	}
}

// having gives this mirror the first n pieces.
func having(v *schedule.View, n int) {
	for i := range n {
		v.Have.Add(i)
		v.Wanted.Remove(i)
	}
}

func settle(c *schedule.Config) { c.Settle = 300 * time.Millisecond }

func always(c *schedule.Config) { c.Always = true }

// foreign is one peer that lacks everything and never asks the origin.
func foreign() []schedule.Peer {
	p := mirror(97)
	p.Mirror = false
	return []schedule.Peer{p}
}

// Each unit is one mirror's, so what they take at once does not overlap.
func TestFewMirrorsDivideTheUnits(t *testing.T) {
	const mirrors = 5
	taken := make(map[int]int)
	for self := byte(1); self <= mirrors; self++ {
		v := view()
		for id := byte(1); id <= mirrors; id++ {
			v.Peers = append(v.Peers, mirror(id)) // oneself too: a connection to self
		}
		runs := newRule(self).Pick(v)
		if len(runs) == 0 {
			t.Errorf("mirror %d takes nothing", self)
		}
		for _, r := range runs {
			taken[r.First]++
		}
	}
	for i, n := range taken {
		if n > 1 {
			t.Errorf("the unit of piece %d is taken by %d mirrors", i, n)
		}
	}
}

// pickers are how many of n mirrors, all connected, take something d after the start.
func pickers(n int, d time.Duration, silent time.Duration) int {
	taking := 0
	for self := range n {
		v := view()
		for id := range n {
			if id != self {
				v.Peers = append(v.Peers, mirror(byte(id)))
			}
		}
		v.Fed = start.Add(time.Second)
		r := newRule(byte(self))
		for s := time.Duration(0); s <= silent; s += time.Second {
			v.Now = start.Add(d + s)
			if len(r.Pick(v)) > 0 && s+time.Second > silent {
				taking++
			}
		}
	}
	return taking
}

func TestOneOfManyIsElectedAndTheNextFollow(t *testing.T) {
	if n := pickers(40, 10*time.Second, 5*time.Second); n != 1 {
		t.Errorf("%d of 40 mirrors take from the origin, want 1", n)
	}
	if n := pickers(40, 10*time.Second, 40*time.Second); n < 2 || n > 4 {
		t.Errorf("%d of 40 mirrors take from the origin while nothing comes for long, want a few", n)
	}
}

// full is what each of n mirrors takes that are connected to all others, and have waited together for some time; nothing comes.
func full(n int, waited time.Duration) [][]schedule.Run {
	taken := make([][]schedule.Run, n)
	for self := range n {
		v := view()
		for id := range n {
			if id != self {
				v.Peers = append(v.Peers, mirror(byte(id)))
			}
		}
		for i := range v.Peers {
			v.Peers[i].News = time.Time{}
		}
		v.Fed = start.Add(time.Second)
		r := newRule(byte(self))
		for s := time.Duration(0); s <= waited; s += time.Second {
			v.Now = start.Add(2*time.Second + s)
			taken[self] = r.Pick(v)
		}
	}
	return taken
}

// Sixteen mirrors that start at once: nobody loses time until somebody is hungry enough to begin.
func TestTheFirstOfALargeMeshBeginsAtOnce(t *testing.T) {
	taking := 0
	for _, runs := range full(16, 0) {
		if len(runs) > 0 {
			taking++
		}
	}
	if taking != 1 {
		t.Errorf("%d of 16 mirrors begin, want 1", taking)
	}
}

// All are hungry when the origin or the machine is the bottleneck. Those that take then must not take the same.
func TestSharesOfTheElectedDoNotOverlap(t *testing.T) {
	units := make(map[int]int)
	taking := 0
	for _, runs := range full(16, 40*time.Second) {
		if len(runs) > 0 {
			taking++
		}
		for _, run := range runs {
			units[run.First]++
		}
	}
	if taking < 2 {
		t.Fatalf("%d mirrors take: nothing was tested", taking)
	}
	for first, n := range units {
		if n > 1 {
			t.Errorf("the unit of piece %d is taken by %d mirrors", first, n)
		}
	}
}

// A /24 full of mirrors that give nothing must not win every election.
func TestANetworkCountsTwice(t *testing.T) {
	network := schedule.Network(netip.MustParseAddr("198.51.100.7"))
	won := 0
	for epoch := range 60 {
		v := view(crowd(60)...)
		for i := range v.Peers {
			v.Peers[i].Net = network
		}
		v.Now = v.Now.Add(time.Duration(epoch) * time.Minute)
		for i := range v.Peers {
			v.Peers[i].News = v.Now
		}
		v.Fed = v.Now
		r := newRule(1)
		r.Pick(v)
		v.Now = v.Now.Add(3 * time.Second)
		r.Pick(v)
		for range 9 {
			v.Now = v.Now.Add(time.Second)
			if len(r.Pick(v)) > 0 {
				won++
				break
			}
		}
	}
	if won < 10 {
		t.Errorf("elected in %d of 60 epochs among 60 mirrors of one network, want about a third", won)
	}
}

func TestNetwork(t *testing.T) {
	same := func(a, b string) bool {
		return schedule.Network(netip.MustParseAddr(a)) == schedule.Network(netip.MustParseAddr(b))
	}
	if !same("198.51.100.7", "::ffff:198.51.100.200") || same("198.51.100.7", "198.51.101.7") {
		t.Error("IPv4 networks are not /24")
	}
	if !same("2001:db8:1:2::3", "2001:db8:1:2:ffff::") || same("2001:db8:1:2::3", "2001:db8:1:3::3") {
		t.Error("IPv6 networks are not /64")
	}
	if schedule.Network(netip.MustParseAddr("127.0.0.1")) != 0 || schedule.Network(netip.MustParseAddr("10.0.0.1")) != 0 {
		t.Error("loopback and private addresses are limited")
	}
}

// An origin that gives a certain rate, however many ask, is asked by few; one that gives each a rate, by as many as allowed.
func TestInFlightAdaptsToTheOrigin(t *testing.T) {
	run := func(took func(inFlight int) time.Duration) int {
		r, v := newRule(1, func(c *schedule.Config) { c.Pieces, c.Unit = 4096, 1 }), &schedule.View{Started: start, Fed: start}
		v.Have, v.Wanted = schedule.NewSet(4096), schedule.NewSet(4096)
		for i := range 4096 {
			v.Wanted.Add(i)
		}
		now := start.Add(2 * time.Second)
		n := 0
		for range 200 {
			v.Now, v.Fed, v.InFlight = now, now, 0
			n = len(r.Pick(v))
			d := took(n)
			for i := range n {
				r.Landed(now, now.Add(d*time.Duration(i+1)/time.Duration(n)), 1<<20, n)
			}
			now = now.Add(d)
		}
		return n
	}
	if n := run(func(int) time.Duration { return time.Second }); n != 4 {
		t.Errorf("%d requests in flight to an origin that gives each the same, want 4", n)
	}
	if n := run(func(n int) time.Duration { return time.Duration(n) * time.Second }); n > 3 {
		t.Errorf("%d requests in flight to an origin that gives all together the same, want few", n)
	}
	r := newRule(1)
	for range 5 {
		r.Failed(schedule.Run{})
	}
	if n := len(r.Pick(view())); n != 1 {
		t.Errorf("%d requests in flight after failures, want 1", n)
	}
}

// A piece that the origin has wrong must not hold up the others.
func TestWhatFailedComesLast(t *testing.T) {
	r, v := newRule(1), view()
	seen := make(map[int]bool)
	for range pieces / 2 {
		runs := r.Pick(v)
		if len(runs) == 0 {
			t.Fatal("nothing is picked")
		}
		if seen[runs[0].First] {
			t.Fatalf("piece %d is picked again before all others were", runs[0].First)
		}
		seen[runs[0].First] = true
		r.Failed(runs[0])
	}
}

func TestRunsStayInTheirUnitAndAreAdjacent(t *testing.T) {
	r := newRule(1, func(c *schedule.Config) { c.Pieces, c.Unit = 1000, 16 })
	v := view()
	v.Have, v.Wanted = schedule.NewSet(1000), schedule.NewSet(1000)
	for i := range 1000 {
		if i%5 != 0 {
			v.Wanted.Add(i)
		}
	}
	for _, run := range r.Pick(v) {
		for i := run.First; i < run.First+run.N; i++ {
			if i%5 == 0 {
				t.Errorf("run %+v holds piece %d, which is not wanted", run, i)
			}
		}
		if run.First/16 != (run.First+run.N-1)/16 {
			t.Errorf("run %+v leaves its unit", run)
		}
	}
}

// BenchmarkPick decides with 50 peers and 16 Ki pieces, each of which half of the peers have.
func BenchmarkPick(b *testing.B) {
	const n = 16 << 10
	rng := rand.New(rand.NewPCG(1, 2))
	random := func() schedule.Set {
		s := schedule.NewSet(n)
		for i := range s {
			s[i] = rng.Uint64()
		}
		return s
	}
	r := newRule(1, func(c *schedule.Config) { c.Pieces, c.Unit = n, 4 })
	v := view(crowd(50)...)
	v.Have, v.Wanted = schedule.NewSet(n), random()
	for i := range v.Peers {
		v.Peers[i].Has = random()
	}
	for name, news := range map[string]time.Time{"supplied": v.Now, "hungry": {}} {
		b.Run(name, func(b *testing.B) {
			for i := range v.Peers {
				v.Peers[i].News = news
			}
			for b.Loop() {
				v.Now = v.Now.Add(time.Millisecond)
				v.Fed = v.Now
				r.Pick(v)
			}
		})
	}
}
