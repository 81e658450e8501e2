package schedule

import (
	"cmp"
	"slices"
	"time"
)

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
	oldest := r.oldestSign(v)
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

// oldestSign is since when a peer must have shown that it lives. When the first piece has come, the others have had no time to.
func (r *Rule) oldestSign(v *View) time.Time {
	var newest time.Time
	told := false
	for i := range v.Peers {
		p := &v.Peers[i]
		told = told || !p.News.IsZero()
		if s := p.sign(); s.After(newest) {
			newest = s
		}
	}
	if told && r.woken.IsZero() {
		r.woken = v.Now
	}
	if v.Now.Sub(r.woken) < r.alive() {
		return time.Time{}
	}
	return newest.Add(-r.alive())
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

// hold finds what peers that deliver have.
func (r *Rule) hold(v *View) {
	r.held.Clear()
	for i := range v.Peers {
		if p := &v.Peers[i]; r.delivers(p, v.Now) {
			r.held.union(p.Has)
		}
	}
}

// elect finds who else takes from the origin in this epoch.
func (r *Rule) elect(epoch uint64, n int) {
	r.elected = append(r.elected[:0], r.candidates...)
	if len(r.elected) < n {
		return
	}
	slices.SortFunc(r.elected, func(a, b uint64) int { return cmp.Compare(rank(epoch, b), rank(epoch, a)) })
	r.elected = r.elected[:n-1]
}

// share reports whether a unit is this mirror's among those that are elected.
func (r *Rule) share(unit int) bool {
	mine := rank(uint64(unit), r.key)
	for _, k := range r.elected {
		if rank(uint64(unit), k) > mine {
			return false
		}
	}
	return true
}
