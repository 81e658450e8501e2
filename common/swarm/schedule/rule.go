package schedule

import (
	"math/rand/v2"
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
	// Settle is how long no peer may have connected for an election to begin within the grace.
	Settle time.Duration
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
	// Low is how many wanted units a peer must have for a mirror of a small mesh not to be hungry, and Plenty which part of the
	// snapshot all peers must have for one of a larger mesh. Forget is how much slower hunger goes than it comes, and MostFirst how
	// many mirrors may take from the origin for hunger.
	Low, Plenty, Forget, MostFirst int
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
		Small: 8, Epoch: time.Minute, Low: 4, Plenty: 64, Forget: 8, MostFirst: 8,
		Alive: 10 * time.Second, PerNetwork: 2, MostInFlight: 4,
	}
}

// Rule is one mirror's state of mind about one snapshot.
type Rule struct {
	Config

	key     uint64
	order   []uint32 // of units, by chance
	flow    flow
	most    int           // peers at once
	begun   bool          // as one of a large mesh
	hunger  time.Duration // how long peers have had little to give, forgotten slowly
	starved time.Duration // hunger when they had little last
	looked  time.Time     // when hunger was reckoned last
	counted time.Time     // when plenty was seen that need not be counted again soon
	woken   time.Time     // when the first news came
	seen    Set           // what anybody around has had
	fresh   time.Time     // when something was new there
	late    late

	// What lookAround and hold found.
	lacking    []*Peer  // peers that are present and not complete
	candidates []uint64 // keys of those that take part in elections
	elected    []uint64 // the others that are elected for an epoch
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
	r := &Rule{
		Config: c, key: Key(c.Self), held: NewSet(c.Pieces), seen: NewSet(c.Pieces), late: newLate(c.Pieces),
		order: make([]uint32, (c.Pieces+c.Unit-1)/c.Unit),
	}
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
	if !r.feel(v) || free <= 0 || !r.settled(v) {
		return nil
	}
	first := r.first(v)
	if first == 0 {
		return nil
	}
	r.lookAround(v)
	if r.small() {
		return r.unitByUnit(v, free, first)
	}
	return r.forAnEpoch(v, free, first)
}

// unitByUnit takes units for which this mirror is among the first, or else pieces that nobody but their first holder gets.
func (r *Rule) unitByUnit(v *View, free, first int) []Run {
	r.hold(v)
	runs := r.take(v, min(free, r.room(v)), r.held, func(unit int) bool { return r.above(uint64(unit), first) < first })
	if len(runs) > 0 {
		return runs
	}
	return r.secondHand(v, free)
}

// forAnEpoch takes any unit if this mirror is among the first. They begin with shares of their own. The very first one, which the
// others may not have joined, goes on with the rest; the others do only when nobody seems to take anything.
func (r *Rule) forAnEpoch(v *View, free, first int) []Run {
	epoch := r.epoch(v)
	place := r.above(epoch, first)
	if place >= first {
		return nil
	}
	if free = min(free, r.room(v)); free <= 0 {
		return nil
	}
	r.hold(v)
	r.elect(epoch, first)
	runs := r.take(v, free, r.held, r.share)
	switch {
	case len(runs) > 0:
		return runs
	case place == 0:
		return r.take(v, free, r.held, nil)
	case !r.busy(v):
		return r.take(v, 1, r.held, nil)
	}
	return nil
}

// small reports whether this mirror has so few peers that they all may take their own units at once.
func (r *Rule) small() bool { return r.most < r.Tuning.Small }

// settled reports whether the peers are known that will be there at first: an election among half of them takes twice as much.
func (r *Rule) settled(v *View) bool {
	if v.Alone || v.Now.Sub(v.Started) >= r.Grace {
		return true
	}
	for i := range v.Peers {
		if v.Now.Sub(v.Peers[i].Connected) < r.Settle {
			return false
		}
	}
	return len(v.Peers) > 0
}

// epoch is the number of the election.
func (r *Rule) epoch(v *View) uint64 { return uint64(v.Now.UnixNano() / int64(r.Tuning.Epoch)) }
