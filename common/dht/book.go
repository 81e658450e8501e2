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
	// silentFor is how long nobody waits for a node that did not answer.
	silentFor = 10 * time.Minute
	// maxRemembered bounds how many of each such nodes are remembered.
	maxRemembered = 4096
)

// book is the other nodes that answered a query of ours, and thus the routing table. It holds
// nobody on hearsay, and knows which of all its nodes are closest to a target. Besides, it remembers
// who did not answer, whoever named them.
type book struct {
	own     id
	max     int
	private bool // several nodes may share an address
	now     func() time.Time

	mu      sync.Mutex
	entries map[netip.AddrPort]*entry // guarded by mu
	greeted recent                    // nodes asked because they spoke first; guarded by mu
	silent  recent                    // nodes that did not answer; guarded by mu
}

// entry is a node of the book.
type entry struct {
	contact
	replied  time.Time
	failures int
}

func newBook(own id, limit int, private bool, now func() time.Time) *book {
	return &book{
		own: own, max: limit, private: private, now: now,
		entries: make(map[netip.AddrPort]*entry),
		greeted: newRecent(greetAgain, maxRemembered),
		silent:  newRecent(silentFor, maxRemembered),
	}
}

// replied notes that c answered.
func (b *book) replied(c contact) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.greeted.remove(c.addr)
	b.silent.remove(c.addr)
	if b.entries[c.addr] == nil {
		b.makeRoom(c.addr)
	}
	b.entries[c.addr] = &entry{contact: c, replied: b.now()}
}

// makeRoom lets the node at addr enter: in a public DHT in the place of another one of its host, so
// that nobody fills the book from one address, and otherwise, if there are too many, in the place of
// the one heard of least recently among the farther half, so that a flood of new ones cannot drive
// out the neighbours that our answers are made of. Caller holds b.mu.
func (b *book) makeRoom(addr netip.AddrPort) {
	all := make([]*entry, 0, len(b.entries))
	for _, e := range b.entries {
		if !b.private && e.addr.Addr() == addr.Addr() {
			delete(b.entries, e.addr)
			return
		}
		all = append(all, e)
	}
	if len(all) < b.max {
		return
	}
	slices.SortFunc(all, func(x, y *entry) int { return b.own.compare(x.id, y.id) })
	far := all[len(all)/2:]
	oldest := slices.MinFunc(far, func(x, y *entry) int { return x.replied.Compare(y.replied) })
	delete(b.entries, oldest.addr)
}

// slow notes that the node at addr has not answered for a while.
func (b *book) slow(addr netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.silent.add(addr, b.now())
}

// failed notes that the node at addr did not answer.
func (b *book) failed(addr netip.AddrPort) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.silent.add(addr, b.now())
	e := b.entries[addr]
	if e == nil {
		return
	}
	if e.failures++; e.failures >= maxFailures {
		delete(b.entries, addr)
	}
}

// isSilent reports whether the node at addr did not answer when it was last asked, lately.
func (b *book) isSilent(addr netip.AddrPort) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.silent.has(addr, b.now())
}

// closest returns up to n nodes that answered lately, the closest to target first, without the one
// at not.
func (b *book) closest(target id, n int, not netip.AddrPort) []contact {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []contact
	for addr, e := range b.entries {
		if addr != not && b.isGood(e) {
			found = append(found, e.contact)
		}
	}
	slices.SortFunc(found, func(x, y contact) int { return target.compare(x.id, y.id) })
	return found[:min(n, len(found))]
}

// isGood reports whether e is worth passing on. Caller holds b.mu.
func (b *book) isGood(e *entry) bool {
	now := b.now()
	return e.failures == 0 && now.Sub(e.replied) < goodFor && !b.silent.has(e.addr, now)
}

// due returns up to n nodes that should be asked whether they are still there.
func (b *book) due(n int) []contact {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []*entry
	for _, e := range b.entries {
		if e.failures > 0 || b.silent.has(e.addr, b.now()) || b.now().Sub(e.replied) >= checkAfter {
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
	if b.entries[addr] != nil || b.greeted.has(addr, b.now()) {
		return false
	}
	b.greeted.add(addr, b.now())
	return true
}

func contacts(entries []*entry) []contact {
	found := make([]contact, len(entries))
	for i, e := range entries {
		found[i] = e.contact
	}
	return found
}
