package dht

import (
	"context"
	"net/netip"
	"slices"

	"github.com/anacrolix/dht/v2/krpc"
)

const (
	width      = 8   // how many nodes are responsible for a target (BEP 5: K)
	parallel   = 8   // queries in flight
	maxAsked   = 256 // nodes asked in one traversal, whatever others invent
	maxQueue   = 512 // nodes waiting to be asked
	maxPerNode = 16  // nodes believed from one reply; sensible ones send 8
)

// reached is a node that answered, and what it said.
type reached struct {
	contact
	reply *krpc.Return
}

// askFunc asks one node during a traversal. It runs in goroutines of its own.
type askFunc func(ctx context.Context, c contact) (reached, error)

// traversal walks towards a target: it asks the closest nodes known for closer ones, until the
// closest that answer are known (BEP 5). One goroutine owns it.
type traversal struct {
	target  id
	own     id
	reach   reach
	counts  func(reached) bool // whether a node that answered is fit to be among the closest
	seen    map[netip.AddrPort]struct{}
	hosts   map[netip.Addr]struct{}
	queue   []contact // not asked yet: of unknown ID first, then closest first
	closest []reached // at most width, closest first
	asked   int
}

// answer is what became of a query; ok is false when nothing did.
type answer struct {
	reached
	ok bool
}

// traverse walks towards target from the nodes start and returns the closest that answered and
// count. It hands every answer to visit, from this goroutine. It may return what it has beside
// ctx's error.
func (n *Node) traverse(ctx context.Context, target id, start []contact, ask askFunc,
	counts func(reached) bool, visit func(reached),
) ([]reached, error) {
	t := newTraversal(target, n.id, n.conn.reach, counts)
	t.add(start)
	err := t.run(ctx, ask, visit)
	return t.closest, err
}

func newTraversal(target, own id, r reach, counts func(reached) bool) *traversal {
	return &traversal{
		target: target, own: own, reach: r, counts: counts,
		seen: make(map[netip.AddrPort]struct{}), hosts: make(map[netip.Addr]struct{}),
	}
}

func (t *traversal) run(ctx context.Context, ask askFunc, visit func(reached)) error {
	inner, cancel := context.WithCancel(ctx)
	answers := make(chan answer, parallel)
	flying := make(map[netip.AddrPort]contact)
	defer func() {
		cancel()
		for range flying { // wait for what was started
			<-answers
		}
	}()
	for {
		for len(flying) < parallel {
			c, ok := t.next()
			if !ok {
				break
			}
			flying[c.addr] = c
			go func() {
				r, err := ask(inner, c)
				r.addr = c.addr
				answers <- answer{reached: r, ok: err == nil}
			}()
		}
		if t.settled(flying) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case a := <-answers:
			delete(flying, a.addr)
			if a.ok {
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

// next takes the contact to be asked next, if it can still lead closer.
func (t *traversal) next() (contact, bool) {
	if len(t.queue) == 0 || t.asked >= maxAsked || !t.useful(t.queue[0]) {
		return contact{}, false
	}
	c := t.queue[0]
	t.queue = t.queue[1:]
	t.asked++
	return c, true
}

// useful reports whether c is closer than the farthest of enough nodes.
func (t *traversal) useful(c contact) bool {
	return len(t.closest) < width || c.id == (id{}) || t.target.compare(c.id, t.closest[width-1].id) < 0
}

// settled reports whether no query in flight can change the result.
func (t *traversal) settled(flying map[netip.AddrPort]contact) bool {
	for _, c := range flying {
		if t.useful(c) {
			return false
		}
	}
	return true
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
	var more []contact
	for _, node := range r.reply.Nodes[:min(len(r.reply.Nodes), maxPerNode)] {
		more = append(more, contact{id: id(node.ID), addr: compactAddr(node.Addr.IP, node.Addr.Port)})
	}
	t.add(more)
}
