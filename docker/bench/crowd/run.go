package crowd

import (
	"math"
	"math/bits"
	"slices"

	"snapswarm/common/swarm/schedule"
)

// uplinkMemory is how many seconds the rate of an uplink is smoothed over, as in a mirror.
const uplinkMemory = 5

// Run simulates s until all mirrors are complete, or for twenty times as long as that should take.
func Run(s Scenario) Result {
	w := newWorld(s.withDefaults())
	w.result.Bound = w.bound()
	order := w.arrivals()
	for end := s.Spread + 20*w.result.Bound; w.now < end; w.now += w.Step {
		w.at = at(w.now)
		for len(order) > 0 && w.nodes[order[0]].joins <= w.now {
			w.join(order[0])
			order = order[1:]
		}
		w.tidy()
		if len(order) == 0 && len(w.active) == 0 {
			break
		}
		w.credit()
		w.fromOrigin()
		w.fromPeers()
		w.decide()
	}
	return w.conclude()
}

func (w *world) arrivals() []int {
	order := w.rng.Perm(len(w.nodes))
	slices.SortStableFunc(order, func(a, b int) int {
		return int(math.Copysign(1, w.nodes[a].joins-w.nodes[b].joins))
	})
	if w.Spread == 0 {
		order = w.rng.Perm(len(w.nodes))
	}
	return order
}

// tidy lets leavers leave and forgets who is complete.
func (w *world) tidy() {
	gone := func(i int32) bool { return !w.nodes[i].there }
	for _, i := range w.active {
		if w.nodes[i].leaves <= w.now {
			w.leave(int(i))
		}
	}
	w.alive = slices.DeleteFunc(w.alive, gone)
	w.active = slices.DeleteFunc(w.active, func(i int32) bool { return gone(i) || w.nodes[i].complete })
}

// credit gives all links what a step is worth.
func (w *world) credit() {
	for _, i := range w.alive {
		n := &w.nodes[i]
		n.upLeft = min(n.upLeft+n.up*w.Step, max(1, n.up*w.Step))
		n.downLeft = min(n.downLeft+n.down*w.Step, max(1, n.down*w.Step))
	}
}

// fromOrigin moves what is under way from the origin.
func (w *world) fromOrigin() {
	total := 0
	for _, i := range w.active {
		total += len(w.nodes[i].flights)
	}
	if total == 0 {
		return
	}
	share := w.Origin * w.Step / float64(total)
	for _, i := range w.active {
		n := &w.nodes[i]
		half := n.downLeft / 2 // peers have the rest
		for k := range n.flights {
			got := min(share, half, n.flights[k].missed())
			half -= got
			n.downLeft -= got
			w.sent += got
			w.arrive(int(i), &n.flights[k], got)
		}
		for k := len(n.flights) - 1; k >= 0; k-- {
			if f := n.flights[k]; f.left == 0 {
				n.rule.Landed(at(f.began), at(w.now), int64(f.pieces)<<22, len(n.flights))
				n.flights = slices.Delete(n.flights, k, k+1)
			}
		}
	}
}

// arrive passes on each piece of f as soon as it is there.
func (w *world) arrive(i int, f *flight, got float64) {
	const rounding = 1e-9
	f.part += got
	for f.left > 0 && f.part >= 1-rounding {
		f.part--
		f.left--
		w.receive(i, f.next)
		f.next++
	}
}

// fromPeers lets all uplinks send, beginning at a random one.
func (w *world) fromPeers() {
	if len(w.alive) == 0 {
		return
	}
	w.machineLeft = min(w.machineLeft+w.Machine*w.Step, max(1, w.Machine*w.Step))
	first := w.rng.IntN(len(w.alive))
	for k := range w.alive {
		i := int(w.alive[(first+k)%len(w.alive)])
		n, sent := &w.nodes[i], 0.
		for ; n.upLeft >= 1 && w.machineLeft >= 1 && !n.liar && w.send(n); n.upLeft-- {
			sent++
			w.machineLeft--
		}
		n.uplink += (sent/w.Step - n.uplink) * (1 - math.Exp(-w.Step/uplinkMemory))
	}
}

// send passes one piece to a random peer that lacks one, and reports false if there is none.
func (w *world) send(n *node) bool {
	if n.n == 0 || len(n.edges) == 0 {
		return false
	}
	first := w.rng.IntN(len(n.edges))
	for k := range n.edges {
		e := &n.edges[(first+k)%len(n.edges)]
		peer := &w.nodes[e.to]
		if !peer.there || peer.complete || peer.downLeft < 1 || peer.joins == w.now && w.Spread > 0 {
			continue
		}
		if p := w.choose(n.have, int(e.to)); p >= 0 {
			peer.downLeft--
			back := &peer.edges[e.back]
			back.delivered, peer.fed = w.at, w.now
			w.receive(int(e.to), p)
			return true
		}
	}
	return false
}

// choose finds a piece for node to: of a few by chance, the rarest around it.
func (w *world) choose(have schedule.Set, to int) int {
	peer := &w.nodes[to]
	best, rarest, seen := -1, 256, 0
	first := w.rng.IntN(len(have))
	for k := range have {
		j := first + k
		if j >= len(have) {
			j -= len(have)
		}
		d := have[j] & peer.missing[j]
		if d == 0 {
			continue
		}
		for range w.rng.IntN(bits.OnesCount64(d)) {
			d &= d - 1
		}
		p := j<<6 + bits.TrailingZeros64(d)
		if r := int(w.rarity[p*len(w.nodes)+to]); r < rarest {
			best, rarest = p, r
		}
		if seen++; seen == 6 {
			break
		}
	}
	return best
}

// decide asks every mirror's rule.
func (w *world) decide() {
	for _, i := range w.active {
		n := &w.nodes[i]
		if n.rule == nil || n.complete {
			continue
		}
		w.look(n)
		w.result.Decisions++
		for _, r := range n.rule.Pick(&w.view) {
			for p := r.First; p < r.First+r.N; p++ {
				n.missing.Remove(p)
			}
			n.flights = append(n.flights, flight{next: r.First, pieces: r.N, left: r.N, began: w.now})
		}
	}
}

// look fills in the view of n.
func (w *world) look(n *node) {
	v := &w.view
	v.Now, v.Started, v.Fed = w.at, at(n.joins), at(n.fed)
	v.Have, v.Wanted, v.InFlight, v.Uplink = n.have, n.missing, len(n.flights), n.uplink
	v.Peers = v.Peers[:0]
	for k := range n.edges {
		e := &n.edges[k]
		if p := &w.nodes[e.to]; p.there {
			v.Peers = append(v.Peers, schedule.Peer{
				Key: p.key, Mirror: !p.foreign, Complete: p.complete, Has: p.have, Connected: e.since, Delivered: e.delivered, News: p.news,
			})
		}
	}
}

func (w *world) conclude() Result {
	r := w.result
	r.Egress = w.sent / float64(w.Pieces)
	var took []float64
	for i := range w.nodes {
		switch n := &w.nodes[i]; {
		case n.liar, !math.IsInf(n.leaves, 1):
		case !n.complete:
			r.Unfinished++
			took = append(took, w.now-n.joins)
		default:
			took = append(took, n.done-n.joins)
		}
	}
	slices.Sort(took)
	r.Last, r.Most = took[len(took)-1], took[(len(took)-1)*95/100]
	return r
}
