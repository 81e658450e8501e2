package schedule

import (
	"math"
	"math/bits"
	"time"
)

// feel reckons hunger and reports whether something may be taken. In the beginning all are hungry enough for the first one of each
// neighbourhood to take something: nobody can know how long an origin needs before somebody has asked it.
func (r *Rule) feel(v *View) bool {
	overdue := r.overdue()
	passed := min(max(v.Now.Sub(r.looked), 0), overdue)
	if r.looked.IsZero() {
		passed = 0
	}
	r.looked = v.Now
	if r.small() {
		r.feelSmall(v, passed)
		return true
	}
	if !r.begun {
		r.begun, r.hunger = true, max(r.hunger, overdue)
	}
	if r.plenty(v) {
		if r.hunger > overdue {
			r.hunger -= passed / time.Duration(r.Tuning.Forget)
		}
		return false
	}
	// While peers lack what this mirror has, its uplink is busy, and nobody starves.
	if r.lookAround(v); v.InFlight == 0 && r.room(v) > 0 {
		r.grow(v, passed)
	}
	return true
}

// feelSmall lets hunger come where neither a peer has something nor anybody is at work, and go more slowly.
func (r *Rule) feelSmall(v *View, passed time.Duration) {
	if busy := r.busy(v); busy || r.supplied(v) {
		r.hunger -= passed / time.Duration(r.Tuning.Forget)
	} else {
		r.hunger += passed
	}
	r.hunger = min(max(r.hunger, r.overdue()), r.mostHunger())
}

// grow lets hunger double in the time of a request until it is as long, and then grow by that time: of a large crowd, some take
// something, and the rest hear of it before they would join. Before the first piece has come it grows by a quarter: the origin may be
// busy with requests that nobody here can see.
func (r *Rule) grow(v *View, passed time.Duration) {
	overdue := r.overdue()
	switch {
	case r.hunger < overdue:
		r.hunger = time.Duration(float64(r.hunger) * math.Exp2(float64(passed)/float64(overdue)))
	case v.Fed.After(v.Started):
		r.hunger += passed
	default:
		r.hunger += passed / 4
	}
	r.hunger = min(max(r.hunger, overdue/mostNeighbourhoods), r.mostHunger())
	r.starved = r.hunger
}

func (r *Rule) mostHunger() time.Duration { return r.overdue() << r.Tuning.MostFirst }

// mostNeighbourhoods is of how many one takes something where hunger is least.
const mostNeighbourhoods = 1024

// plentyLasts is how long what is four times enough is not counted again.
const plentyLasts = 5 * time.Second

// plenty reports whether peers that deliver have much that is wanted. The more there is after hunger, the more neighbourhoods took
// something at once, and the less hungry all become: so a mirror learns how large the crowd is beyond what it sees.
func (r *Rule) plenty(v *View) bool {
	if v.Now.Sub(r.counted) < plentyLasts {
		return true
	}
	r.hold(v)
	enough := max(r.Tuning.Low, len(r.order)/r.Tuning.Plenty) * r.Unit
	there := v.Wanted.common(r.held, r.Pieces)
	if there <= enough {
		return false
	}
	if r.starved > 0 {
		r.hunger = min(r.hunger, time.Duration(float64(r.starved)*float64(enough)/float64(there)))
	}
	if there >= 4*enough {
		r.counted = v.Now
	}
	return true
}

// busy reports whether the origin is at work, for this mirror or for one around it: something is there that was nowhere before. In a
// small mesh, where units have one owner each, the others' are only to be taken if it is not. What peers pass on is no sign of that:
// they may do so for long while an owner whose uplink is slow has no room to take more.
func (r *Rule) busy(v *View) bool {
	if v.InFlight > 0 {
		return true
	}
	fresh := r.seen.grow(v.Have)
	for i := range v.Peers {
		fresh = r.seen.grow(v.Peers[i].Has) || fresh
	}
	if fresh {
		r.fresh = v.Now
	}
	return v.Now.Sub(r.fresh) < r.overdue()
}

// appetite doubles its waits: it is 0 without hunger, then grows by one after 1, 2, 4, 8 times as long as a request takes.
func (r *Rule) appetite() int { return bits.Len64(uint64(r.hunger / r.overdue())) }

// first is how many mirrors of a neighbourhood may take from the origin now. Where hunger is shorter than a request, it is one in some
// neighbourhoods only, by a lot that each mirror draws for each epoch.
func (r *Rule) first(v *View) int {
	n := r.appetite()
	if n == 0 && float64(rank(^r.epoch(v), r.key))/(1<<64) < float64(r.hunger)/float64(r.overdue()) {
		return 1
	}
	return min(n, r.Tuning.MostFirst)
}

// leastOverdue keeps quick origins from making mirrors nervous: news of a piece needs time, too.
const leastOverdue = time.Second

// mostOverdue is no small bound: where an origin is slow for all, joining those that wait for it makes it slower still.
const mostOverdue = 10 * time.Minute

// overdue is how long another mirror's request may take: twice what ours take.
func (r *Rule) overdue() time.Duration {
	switch t := r.flow.took; {
	case t > 0:
		return min(max(2*t, min(leastOverdue, r.Overdue)), mostOverdue)
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
