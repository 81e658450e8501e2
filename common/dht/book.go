package dht

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// goodFor is how long after its last reply a node is passed on to others (BEP 5).
	goodFor = 15 * time.Minute
	// checkAfter is when a node that has not replied for a while is asked again.
	checkAfter = 10 * time.Minute
	// maxFailures is after how many unanswered queries in a row a node is forgotten.
	maxFailures = 2
	// greetAgain is how long a node that spoke first, and did not answer, is left alone.
	greetAgain = 5 * time.Minute
	// maxGreeted bounds how many such nodes are remembered.
	maxGreeted = 4096
)

// book is the other nodes that answered a query of ours. Unlike the library's routing table it
// holds nobody on hearsay, and knows which of all its nodes are closest to a target.
type book struct {
	own id
	max int
	now func() time.Time

	mu      sync.Mutex
	entries map[netip.AddrPort]*entry    // guarded by mu
	greeted map[netip.AddrPort]time.Time // nodes asked because they spoke first; guarded by mu
}

// entry is a node of the book.
type entry struct {
	contact
	replied  time.Time
	failures int
}

func newBook(own id, limit int, now func() time.Time) *book {
	return &book{
		own: own, max: limit, now: now,
		entries: make(map[netip.AddrPort]*entry), greeted: make(map[netip.AddrPort]time.Time),
	}
}

// replied notes that c answered.
func (b *book) replied(c contact) {
	if c.id == b.own {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.greeted, c.addr)
	if b.entries[c.addr] == nil && len(b.entries) >= b.max {
		b.evict()
	}
	b.entries[c.addr] = &entry{contact: c, replied: b.now()}
}

// evict forgets the node heard of least recently among the farther half, so that a flood of new
// ones cannot drive out the neighbours that our answers are made of. Caller holds b.mu.
func (b *book) evict() {
	all := make([]*entry, 0, len(b.entries))
	for _, e := range b.entries {
		all = append(all, e)
	}
	slices.SortFunc(all, func(x, y *entry) int { return b.own.compare(x.id, y.id) })
	far := all[len(all)/2:]
	oldest := slices.MinFunc(far, func(x, y *entry) int { return x.replied.Compare(y.replied) })
	delete(b.entries, oldest.addr)
}

// failed notes that the node at addr did not answer.
func (b *book) failed(addr netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[addr]
	if e == nil {
		return
	}
	if e.failures++; e.failures >= maxFailures {
		delete(b.entries, addr)
	}
}

// closest returns up to n nodes that answered lately, the closest to target first, without the one
// at not.
func (b *book) closest(target id, n int, not netip.AddrPort) []contact {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []contact
	for addr, e := range b.entries {
		if addr != not && e.failures == 0 && b.now().Sub(e.replied) < goodFor {
			found = append(found, e.contact)
		}
	}
	slices.SortFunc(found, func(x, y contact) int { return target.compare(x.id, y.id) })
	return found[:min(n, len(found))]
}

// due returns up to n nodes that should be asked whether they are still there.
func (b *book) due(n int) []contact {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []*entry
	for _, e := range b.entries {
		if e.failures > 0 || b.now().Sub(e.replied) >= checkAfter {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(x, y *entry) int { return x.replied.Compare(y.replied) })
	return contacts(found[:min(n, len(found))])
}

// all returns every node, the one heard of last first.
func (b *book) all() []contact {
	b.mu.Lock()
	defer b.mu.Unlock()
	found := make([]*entry, 0, len(b.entries))
	for _, e := range b.entries {
		found = append(found, e)
	}
	slices.SortFunc(found, func(x, y *entry) int { return y.replied.Compare(x.replied) })
	return contacts(found)
}

func (b *book) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.entries)
}

// greet reports whether the node at addr, which spoke first, should be asked whether it is there,
// and notes that it is.
func (b *book) greet(addr netip.AddrPort) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entries[addr] != nil {
		return false
	}
	if at, ok := b.greeted[addr]; ok && b.now().Sub(at) < greetAgain {
		return false
	}
	if len(b.greeted) >= maxGreeted {
		clear(b.greeted)
	}
	b.greeted[addr] = b.now()
	return true
}

func contacts(entries []*entry) []contact {
	found := make([]contact, len(entries))
	for i, e := range entries {
		found[i] = e.contact
	}
	return found
}
