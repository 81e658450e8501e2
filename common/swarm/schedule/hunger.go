package schedule

import (
	"math/bits"
	"time"
)

// feel reckons hunger. In the beginning all are hungry enough for the first one of each neighbourhood to take something: nobody can
// know how long an origin needs before somebody has asked it.
func (r *Rule) feel(v *View) {
	overdue := r.overdue()
	passed := min(max(v.Now.Sub(r.looked), 0), overdue)
	if r.looked.IsZero() {
		passed = 0
	}
	if begun := !r.small(); begun && !r.begun {
		r.begun, r.hunger = true, max(r.hunger, overdue)
	}
	r.looked = v.Now
	if r.small() && r.busy(v) || r.supplied(v) {
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
