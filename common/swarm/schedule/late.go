package schedule

import "time"

// lateShare is which part of a snapshot all mirrors around together may take a second time because its first holder is slow.
const lateShare = 16

// late watches pieces that one peer alone has: one with a slow uplink would have all others wait for what it took.
type late struct {
	twice, lone Set // had by two peers at least, and by exactly one
	waited, due Set // alone since the snapshot of lone, and since the one before
	since       time.Time
	spent       int // pieces taken for it
}

func newLate(pieces int) late {
	return late{twice: NewSet(pieces), lone: NewSet(pieces), waited: NewSet(pieces), due: NewSet(pieces)}
}

// look finds which wanted pieces one delivering peer alone has had for as long as patience, or up to twice as long.
func (l *late) look(v *View, delivers func(*Peer) bool, patience time.Duration) {
	l.lone.Clear()
	l.twice.Clear()
	for i := range v.Peers {
		p := &v.Peers[i]
		if !delivers(p) {
			continue
		}
		for w, has := range p.Has[:len(l.lone)] {
			l.twice[w] |= l.lone[w] & has
			l.lone[w] |= has
		}
	}
	for w := range l.lone {
		l.lone[w] &= v.Wanted[w] &^ l.twice[w]
		l.waited[w] &= l.lone[w]
		l.due[w] &= l.lone[w]
	}
	if v.Now.Sub(l.since) >= patience {
		copy(l.due, l.waited)
		copy(l.waited, l.lone)
		l.since = v.Now
	}
}

// secondHand takes single pieces that came to one peer long ago and to nobody else since, each by one of those that lack it. It does
// so only in the end, when several wait for nothing else.
func (r *Rule) secondHand(v *View, free int) []Run {
	r.late.look(v, func(p *Peer) bool { return r.delivers(p, v.Now) }, r.overdue())
	wanted := v.Wanted.Len()
	if len(r.candidates) < leastWaiting || wanted > 2*r.Pieces/lateShare || r.held.sharesMore(v.Wanted, r.late.lone) {
		return nil
	}
	free = min(free, r.Pieces/lateShare/(1+len(r.candidates))-r.late.spent)
	var runs []Run
	for i := 0; i < r.Pieces && len(runs) < free; i++ {
		if r.late.due.Has(i) && r.firstToLack(i) {
			runs = append(runs, Run{First: i, N: 1})
		}
	}
	r.late.spent += len(runs)
	return runs
}

// leastWaiting is how many others must wait, too: what one alone waits for is not worth a second copy.
const leastWaiting = 2

// firstToLack reports whether this mirror comes first of those that lack piece i.
func (r *Rule) firstToLack(i int) bool {
	mine := rank(uint64(i), r.key)
	for _, p := range r.lacking {
		if p.Mirror && !p.Has.Has(i) && rank(uint64(i), p.Key) > mine {
			return false
		}
	}
	return true
}
