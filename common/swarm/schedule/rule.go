package schedule

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"
)

// Config of a [Rule].
type Config struct {
	// Self is this mirror's peer id.
	Self [20]byte
	// Pieces of the snapshot, and how many adjacent ones, a unit, one request is for.
	Pieces, Unit int
	// Always takes whatever is missing from origins and peers alike.
	Always bool
	// Patience is how long peers may bring nothing until pieces are taken regardless of anybody.
	Patience time.Duration
	// Grace is how long a first peer is waited for at the beginning, and how long a peer that has just connected counts as one
	// that delivers.
	Grace time.Duration
	// Overdue is how long another mirror's request may take until it is known how long they take.
	Overdue time.Duration
	// Tuning is only for those who look for better figures. Default: [DefaultTuning].
	Tuning Tuning
}

// Tuning are the figures of the rule.
type Tuning struct {
	// Small is how many peers a mirror must have had at once to be elected per epoch; below, it is elected per unit.
	Small int
	// Epoch is how long an election holds.
	Epoch time.Duration
	// Low is how many wanted units a peer must have for this mirror not to be hungry, Forget how much slower hunger goes than it
	// comes, and MostFirst how many mirrors may take from the origin for hunger.
	Low, Forget, MostFirst int
	// Alive is how long ago a peer may have given its last sign of life.
	Alive time.Duration
	// PerNetwork is how many mirrors of one network that have not delivered count in an election.
	PerNetwork int
	// MostInFlight is the most requests at once.
	MostInFlight int
}

// DefaultTuning is what did best in the simulation.
func DefaultTuning() Tuning {
	return Tuning{
		Small: 8, Epoch: time.Minute, Low: 4, Forget: 8, MostFirst: 8,
		Alive: 10 * time.Second, PerNetwork: 2, MostInFlight: 8,
	}
}

// Rule is one mirror's state of mind about one snapshot.
type Rule struct {
	Config

	key    uint64
	order  []uint32 // of units, by chance
	flow   flow
	most   int           // peers at once
	hunger time.Duration // how long peers have had little to give, forgotten slowly
	looked time.Time     // when hunger was reckoned last

	// What lookAround and hold found.
	lacking    []*Peer  // peers that are present and not complete
	candidates []uint64 // keys of those that take part in elections
	held       Set
	lacks      []int
}

// Run is N adjacent pieces.
type Run struct{ First, N int }

// New returns a rule. rng is used only now.
func New(c Config, rng *rand.Rand) *Rule {
	if c.Tuning == (Tuning{}) {
		c.Tuning = DefaultTuning()
	}
	r := &Rule{Config: c, key: Key(c.Self), held: NewSet(c.Pieces), order: make([]uint32, (c.Pieces+c.Unit-1)/c.Unit)}
	r.flow.most = c.Tuning.MostInFlight
	for i := range r.order {
		r.order[i] = uint32(i)
	}
	rng.Shuffle(len(r.order), func(i, j int) { r.order[i], r.order[j] = r.order[j], r.order[i] })
	return r
}

// Pick returns the runs to take from origins now, at most one of each unit. It should be called about every second or more often.
func (r *Rule) Pick(v *View) []Run {
	free := r.flow.allowed() - v.InFlight
	if r.Always || v.Now.Sub(v.Fed) >= r.Patience {
		return r.take(v, free, nil, nil)
	}
	r.most = max(r.most, len(v.Peers))
	r.feel(v)
	first := r.first(v)
	if free <= 0 || first == 0 || len(v.Peers) == 0 && v.Now.Sub(v.Started) < r.Grace {
		return nil
	}
	r.lookAround(v)
	if !r.small() && r.above(uint64(v.Now.UnixNano()/int64(r.Tuning.Epoch)), first) >= first {
		return nil
	}
	if free = min(free, r.room(v)); free <= 0 {
		return nil
	}
	r.hold(v)
	if !r.small() {
		return r.take(v, free, r.held, nil)
	}
	return r.take(v, free, r.held, func(unit int) bool { return r.above(uint64(unit), first) < first })
}

// small reports whether this mirror has so few peers that they all may take their own units at once.
func (r *Rule) small() bool { return r.most < r.Tuning.Small }

// feel reckons hunger. In the beginning a quarter of the mirrors of a large mesh is hungry: they shall begin, since nobody can know
// how many there are and how long an origin needs for them.
func (r *Rule) feel(v *View) {
	overdue := r.overdue()
	passed := min(max(v.Now.Sub(r.looked), 0), overdue)
	if r.looked.IsZero() {
		passed = 0
		if r.key%4 == 0 {
			r.hunger = overdue
		}
	}
	r.looked = v.Now
	if r.supplied(v) {
		r.hunger -= passed / time.Duration(r.Tuning.Forget)
	} else {
		r.hunger += passed
	}
	least := time.Duration(0)
	if r.small() {
		least = overdue
	}
	r.hunger = min(max(r.hunger, least), 1<<r.Tuning.MostFirst*overdue)
}

// appetite doubles its waits: it is 0 without hunger, then grows by one after 1, 2, 4, 8 times as long as a request takes.
func (r *Rule) appetite() int { return bits.Len64(uint64(r.hunger / r.overdue())) }

// first is how many mirrors of a neighbourhood may take from the origin now. Before the first piece has come the waits are
// quadrupled instead: the origin may be busy with requests that nobody here can see.
func (r *Rule) first(v *View) int {
	n := r.appetite()
	if !r.small() && !v.Fed.After(v.Started) {
		n = (n + 1) / 2
	}
	return min(n, r.Tuning.MostFirst)
}

// leastOverdue keeps quick origins from making mirrors nervous: news of a piece needs time, too.
const leastOverdue = time.Second

// overdue is how long another mirror's request may take: twice what ours take.
func (r *Rule) overdue() time.Duration {
	switch t := r.flow.took; {
	case t > 0:
		return min(max(2*t, min(leastOverdue, r.Overdue)), 30*time.Second)
	case r.small():
		return r.Overdue
	}
	return 3 * r.Overdue
}

// supplied reports whether a peer that delivers has some units that are wanted, or all.
func (r *Rule) supplied(v *View) bool {
	enough := v.Wanted.common(v.Wanted, r.Tuning.Low*r.Unit)
	for i := range v.Peers {
		p := &v.Peers[i]
		if r.delivers(p, v.Now) && v.Wanted.common(p.Has, enough) >= enough {
			return true
		}
	}
	return false
}

// delivers reports whether p's pieces count as there.
func (r *Rule) delivers(p *Peer, now time.Time) bool {
	alive := r.alive()
	return now.Sub(p.News) <= alive || now.Sub(p.Delivered) <= alive || now.Sub(p.Connected) < r.Grace
}

// alive is how long a sign of life counts: longer than it takes to send a piece.
func (r *Rule) alive() time.Duration { return max(r.Tuning.Alive, r.overdue()) }

// lookAround finds the mirrors that take part in elections and the peers that lack something. Where all are silent, because the
// origin is slow, all stay present.
func (r *Rule) lookAround(v *View) {
	var newest time.Time
	for i := range v.Peers {
		if s := v.Peers[i].sign(); s.After(newest) {
			newest = s
		}
	}
	oldest := newest.Add(-r.alive())
	r.candidates, r.lacking = r.candidates[:0], r.lacking[:0]
	for i := range v.Peers {
		p := &v.Peers[i]
		if p.Complete || p.Key == r.key || p.sign().Before(oldest) {
			continue
		}
		if p.Mirror && !r.crowded(p, v.Now) {
			r.candidates = append(r.candidates, p.Key)
		}
		r.lacking = append(r.lacking, p)
	}
}

// crowded reports whether enough mirrors of p's network take part already. Those that deliver are no crowd.
func (r *Rule) crowded(p *Peer, now time.Time) bool {
	if p.Net == 0 || now.Sub(p.Delivered) <= r.alive() {
		return false
	}
	n := 0
	for _, q := range r.lacking {
		if q.Mirror && q.Net == p.Net {
			n++
		}
	}
	return n >= r.Tuning.PerNetwork
}

// above counts the others that come before this mirror in a turn, up to enough.
func (r *Rule) above(turn uint64, enough int) int {
	mine, n := rank(turn, r.key), 0
	for _, k := range r.candidates {
		if rank(turn, k) > mine {
			if n++; n >= enough {
				break
			}
		}
	}
	return n
}

// room is how many units more may be taken until the uplink is busy: of what this mirror has, half of its peers may lack one unit,
// what is on its way included, and some more if it is hungry.
func (r *Rule) room(v *View) int {
	if len(r.lacking) == 0 {
		return r.Tuning.MostInFlight
	}
	most, silent := max(1, r.appetite())*r.Unit, v.Now.Add(-3*r.alive())
	r.lacks = r.lacks[:0]
	for _, p := range r.lacking {
		if p.sign().After(silent) {
			r.lacks = append(r.lacks, v.Have.without(p.Has, most))
		}
	}
	median := 0
	if len(r.lacks) > 0 {
		slices.Sort(r.lacks)
		median = r.lacks[len(r.lacks)/2]
	}
	return (most-median+r.Unit-1)/r.Unit - v.InFlight
}

// hold finds what peers that deliver have.
func (r *Rule) hold(v *View) {
	r.held.Clear()
	for i := range v.Peers {
		if p := &v.Peers[i]; r.delivers(p, v.Now) {
			r.held.union(p.Has)
		}
	}
}
