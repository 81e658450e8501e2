package dht

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

const (
	width     = 8   // how many nodes are responsible for a target (BEP 5: K)
	parallel  = 8   // queries in flight that may be answered any moment
	maxFlying = 48  // queries in flight with those that are late
	maxAsked  = 256 // nodes asked in one traversal, whatever others invent
	maxQueue  = 512 // nodes waiting to be asked
)

// traversal walks towards a target: it asks the closest nodes known for closer ones, until the
// closest that answer are known (BEP 5). One goroutine owns it.
//
// Nodes that do not answer cost little time: after a twelfth of the timeout a query no longer takes
// one of the places of those in flight, so that more nodes are asked the more are dead, and after a
// third the traversal ends without it once enough closest nodes have answered. Nodes that were silent
// lately are asked but never waited for, except when nobody answers at all. A late answer counts as
// long as the traversal lasts, and enters the book even after it.
type traversal struct {
	target   id
	own      id
	reach    reach
	timeout  time.Duration             // of one query
	soft     time.Duration             // after which it no longer holds up the end
	isSilent func(netip.AddrPort) bool // whether a node did not answer lately
	counts   func(reached) bool        // whether a node that answered is fit to be among the closest
	seen     map[netip.AddrPort]struct{}
	hosts    map[netip.Addr]struct{}
	queue    []contact // not asked yet: of unknown ID first, then closest first
	flying   map[netip.AddrPort]flight
	closest  []reached // at most width, closest first
	asked    int
	answered int
}

// flight is a query that is under way.
type flight struct {
	contact
	began  time.Time
	silent bool
}

// answer is what became of a query; ok is false when nothing did.
type answer struct {
	reached
	ok bool
}

// walk asks the nodes closest to target the query q, and returns the closest that answered and count.
// It hands every answer to visit, from this goroutine. It may return what it has beside ctx's error;
// other errors wrap [ErrNoNodes].
func (n *Node) walk(ctx context.Context, target id, q string, args arguments, counts func(reached) bool,
	visit func(reached),
) ([]reached, error) {
	args.Want = []string{"n4"} // BEP 32
	from := func(start []contact) (*traversal, error) {
		t := newTraversal(target, n.id, n.socket.reach, counts)
		t.timeout, t.soft, t.isSilent = n.cfg.QueryTimeout, n.cfg.soft(), n.book.isSilent
		t.add(start)
		err := t.run(ctx, n.launcher(q, args), visit)
		return t, err
	}
	if near := n.book.closest(target, maxNear, netip.AddrPort{}); len(near) >= enough {
		if t, err := from(near); err != nil || t.answered > 0 {
			return t.closest, err
		}
	}
	start, err := n.anybody(ctx)
	if err != nil {
		return nil, err
	}
	t, err := from(start)
	if err == nil && t.answered == 0 {
		err = fmt.Errorf("%w: asked %d", ErrNoNodes, t.asked)
	}
	return t.closest, err
}

// launcher starts queries of a traversal. They go on after its end, so that a late answer still enters
// the book; and so nobody has to take all answers.
func (n *Node) launcher(q string, args arguments) launcher {
	answers := make(chan answer, maxAsked)
	return launcher{answers: answers, ask: func(c contact) {
		n.spawn(func() {
			r, err := n.ask(n.ctx, c, q, args)
			r.addr = c.addr
			answers <- answer{reached: r, ok: err == nil}
		})
	}}
}

// launcher sends queries and receives their answers.
type launcher struct {
	ask     func(contact)
	answers <-chan answer
}

func newTraversal(target, own id, r reach, counts func(reached) bool) *traversal {
	return &traversal{
		target: target, own: own, reach: r, counts: counts,
		seen: make(map[netip.AddrPort]struct{}), hosts: make(map[netip.Addr]struct{}),
		flying: make(map[netip.AddrPort]flight),
	}
}

func (t *traversal) run(ctx context.Context, l launcher, visit func(reached)) error {
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		now := time.Now()
		for {
			c, ok := t.next(now)
			if !ok {
				break
			}
			t.flying[c.addr] = flight{contact: c, began: now, silent: t.isSilent(c.addr)}
			l.ask(c)
		}
		if t.settled(now) {
			return nil
		}
		wake.Reset(t.nextChange(now))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-wake.C:
		case a := <-l.answers:
			delete(t.flying, a.addr)
			if a.ok {
				t.answered++
				visit(a.reached)
				t.take(a.reached)
			}
		}
	}
}

// add queues contacts that may be asked and were not.
func (t *traversal) add(contacts []contact) {
	for _, c := range contacts {
		if c.id == t.own || t.reach.check(c.addr) != nil || t.known(c.addr) {
			continue
		}
		at, _ := slices.BinarySearchFunc(t.queue, c, t.compare)
		t.queue = slices.Insert(t.queue, at, c)
	}
	t.queue = t.queue[:min(len(t.queue), maxQueue)]
}

// known notes an address and reports whether it was noted before. In a public DHT a host counts
// once, so that nobody can surround a target from a single address.
func (t *traversal) known(addr netip.AddrPort) bool {
	_, known := t.seen[addr]
	if !t.reach.private {
		_, sameHost := t.hosts[addr.Addr()]
		known = known || sameHost
		t.hosts[addr.Addr()] = struct{}{}
	}
	t.seen[addr] = struct{}{}
	return known
}

func (t *traversal) compare(a, b contact) int {
	switch unknownA, unknownB := a.id == (id{}), b.id == (id{}); {
	case unknownA && unknownB:
		return a.addr.Compare(b.addr)
	case unknownA:
		return -1
	case unknownB:
		return 1
	}
	return t.target.compare(a.id, b.id)
}

// next takes the contact to be asked next, if it can still lead closer and there is a place.
func (t *traversal) next(now time.Time) (contact, bool) {
	if !t.canLaunch() || len(t.flying) >= maxFlying {
		return contact{}, false
	}
	fresh := 0
	for _, f := range t.flying {
		if !f.silent && now.Sub(f.began) < t.hedge() {
			fresh++
		}
	}
	if fresh >= parallel {
		return contact{}, false
	}
	c := t.queue[0]
	t.queue = t.queue[1:]
	t.asked++
	return c, true
}

// hedge is after how long another node is asked beside one that has not answered.
func (t *traversal) hedge() time.Duration { return t.timeout / 12 }

// canLaunch reports whether there is somebody left to ask.
func (t *traversal) canLaunch() bool {
	return len(t.queue) > 0 && t.asked < maxAsked && t.useful(t.queue[0])
}

// useful reports whether c is closer than the farthest of enough nodes.
func (t *traversal) useful(c contact) bool {
	return len(t.closest) < width || c.id == (id{}) || t.target.compare(c.id, t.closest[width-1].id) < 0
}

// settled reports whether nothing that is worth waiting for can change the result.
func (t *traversal) settled(now time.Time) bool {
	if t.canLaunch() {
		return false
	}
	for _, f := range t.flying {
		if t.useful(f.contact) && now.Sub(f.began) < t.patience(f) {
			return false
		}
	}
	return true
}

// patience is how long an answer is waited for when there is nobody else to ask: longer while there
// are fewer answers than could be had.
func (t *traversal) patience(f flight) time.Duration {
	switch {
	case t.answered == 0:
		return t.timeout + t.soft // it ends by itself
	case f.silent:
		return 0
	case len(t.closest) < width:
		return 2 * t.soft
	}
	return t.soft
}

// nextChange is when the next query in flight becomes one that is not waited for.
func (t *traversal) nextChange(now time.Time) time.Duration {
	next := t.timeout
	for _, f := range t.flying {
		for _, limit := range [...]time.Duration{t.hedge(), t.patience(f)} {
			if left := limit - now.Sub(f.began); left > 0 {
				next = min(next, left)
			}
		}
	}
	return next
}

// take learns from a node that answered.
func (t *traversal) take(r reached) {
	if t.counts(r) {
		at, same := slices.BinarySearchFunc(t.closest, r, func(a, b reached) int { return t.target.compare(a.id, b.id) })
		if !same {
			t.closest = slices.Insert(t.closest, at, r)
			t.closest = t.closest[:min(len(t.closest), width)]
		}
	}
	t.add(r.reply.nodes())
}
