package crowd

import (
	"math"
	"math/rand/v2"
	"time"

	"snapswarm/common/swarm/schedule"
)

// node is a mirror or another peer.
type node struct {
	up, down         float64 // pieces per second
	upLeft, downLeft float64 // credits
	liar, foreign    bool
	joins, leaves    float64
	there, complete  bool
	done             float64
	edges            []edge
	have, missing    schedule.Set // missing: and not on its way from the origin
	n                int          // pieces
	news             time.Time
	fed              float64
	uplink           float64 // pieces per second lately
	key              uint64
	rule             *schedule.Rule
	flights          []flight
}

// edge is a connection as one of its ends sees it.
type edge struct {
	to, back         int32 // node, and the index of the other end's edge
	since, delivered time.Time
}

// flight is pieces on their way from the origin, one after the other.
type flight struct {
	next, left, pieces int
	part               float64 // of the next one that has come
	began              float64
}

func (f *flight) missed() float64 { return float64(f.left) - f.part }

// world is the state of a simulation.
type world struct {
	Scenario

	rng    *rand.Rand
	nodes  []node
	now    float64
	at     time.Time // now
	alive  []int32
	active []int32 // alive, not complete
	sent   float64
	// machineLeft is a credit of what all uplinks share.
	machineLeft float64
	view        schedule.View
	result      Result
	all         schedule.Set
	// rarity is how many peers of a node have a piece: that of all nodes for the first piece, then for the next. A piece is news to many at once.
	rarity []uint8
}

var epoch = time.Unix(1_700_000_000, 0)

func at(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * float64(time.Second))) }

func newWorld(s Scenario) *world {
	w := &world{Scenario: s, rng: rand.New(rand.NewPCG(s.Seed, uint64(s.Mirrors))), nodes: make([]node, s.Mirrors), all: schedule.NewSet(s.Pieces)}
	for i := range s.Pieces {
		w.all.Add(i)
	}
	w.rarity = make([]uint8, s.Pieces*s.Mirrors)
	for i := range w.nodes {
		w.populate(i)
	}
	return w
}

// populate makes node i.
func (w *world) populate(i int) {
	n := &w.nodes[i]
	n.up, n.down = w.Up, w.Down
	if w.Mixed {
		n.up = []float64{0.25, 0.25, 0.25, 0.5, 0.5, 1, 1, 1, 4, 4}[w.rng.IntN(10)]
		n.down = 8 * n.up
	}
	if i == 0 && w.Slow > 0 {
		n.up = w.Slow
	}
	n.leaves = math.Inf(1)
	if w.Spread > 0 {
		n.joins = w.rng.Float64() * w.Spread
	}
	switch x := w.rng.Float64(); {
	case i == 0: // somebody has to be honest
	case x < w.Liars:
		n.liar, n.complete, n.have, n.n = true, true, w.all, w.Pieces
		n.up = 0
		return
	case x < w.Liars+w.Foreign:
		n.foreign = true
	case x < w.Liars+w.Foreign+w.Leavers:
		n.leaves = n.joins + w.rng.Float64()*float64(w.Pieces)
	}
	n.have, n.missing = schedule.NewSet(w.Pieces), schedule.NewSet(w.Pieces)
	copy(n.missing, w.all)
	var id [20]byte
	for k := range id {
		id[k] = byte(w.rng.Uint32())
	}
	n.key = schedule.Key(id)
	if !n.foreign {
		n.rule = schedule.New(schedule.Config{
			Self: id, Pieces: w.Pieces, Unit: w.Unit, Always: w.Policy == Always, Patience: w.Patience,
			Grace: 2 * time.Second, Settle: 300 * time.Millisecond, Overdue: 3 * time.Second, Tuning: w.Tuning,
		}, w.rng)
	}
}

// bound is the time that uplinks and downlinks allow.
func (w *world) bound() float64 {
	var up, n float64
	slowest := math.Inf(1)
	for i := range w.nodes {
		if m := &w.nodes[i]; !m.liar {
			up += m.up
			n++
			slowest = min(slowest, m.down)
		}
	}
	return float64(w.Pieces) * max(n/up, 1/slowest, 1/w.Origin, (n-1)/w.Machine)
}

// join connects node i to as many that are there as it shall have on average by its own doing.
func (w *world) join(i int) {
	n := &w.nodes[i]
	n.there, n.fed = true, w.now
	want := min((w.Degree+1)/2, len(w.alive))
	if len(w.alive) <= w.Degree {
		want = len(w.alive)
	}
	for tries := 0; want > 0 && tries < 20*w.Degree; tries++ {
		k := int(w.alive[w.rng.IntN(len(w.alive))])
		if len(w.alive) <= w.Degree {
			k = int(w.alive[want-1])
		}
		if len(w.nodes[k].edges) < 2*w.Degree && !w.connected(i, k) {
			w.connect(i, k)
			want--
		}
	}
	w.alive = append(w.alive, int32(i))
	if !n.complete {
		w.active = append(w.active, int32(i))
	}
}

func (w *world) connected(i, k int) bool {
	for _, e := range w.nodes[i].edges {
		if int(e.to) == k {
			return true
		}
	}
	return i == k
}

func (w *world) connect(i, k int) {
	a, b := &w.nodes[i], &w.nodes[k]
	now := at(w.now)
	a.edges = append(a.edges, edge{int32(k), int32(len(b.edges)), now, time.Time{}})
	b.edges = append(b.edges, edge{int32(i), int32(len(a.edges) - 1), now, time.Time{}})
	w.countRarity(i, b, 1)
	w.countRarity(k, a, 1)
}

// countRarity adds what peer has to, or with 255 takes it from, what node i sees.
func (w *world) countRarity(i int, peer *node, by uint8) {
	if peer.n == 0 {
		return
	}
	for p := range w.Pieces {
		if peer.have.Has(p) {
			w.rarity[p*len(w.nodes)+i] += by
		}
	}
}

// leave takes node i out of the world; its edges stay, to keep the others' indexes, but lead nowhere.
func (w *world) leave(i int) {
	n := &w.nodes[i]
	n.there, n.flights = false, nil
	for _, e := range n.edges {
		w.countRarity(int(e.to), n, 255)
	}
}

// receive gives piece p to node i.
func (w *world) receive(i, p int) {
	n := &w.nodes[i]
	n.have.Add(p)
	n.missing.Remove(p)
	n.n++
	n.news = w.at
	rarity := w.rarity[p*len(w.nodes):][:len(w.nodes)]
	for k := range n.edges {
		rarity[n.edges[k].to]++
	}
	if n.n == w.Pieces {
		n.complete, n.done = true, w.now
	}
}
