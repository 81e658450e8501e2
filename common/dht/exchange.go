package dht

import (
	"context"
	"crypto/rand"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/anacrolix/torrent/bencode"
)

// exchanges are the queries of this node that wait for an answer. One is accepted only from the
// address that was asked, with the number that the query had, which nobody else can guess; and once.
type exchanges struct {
	mu      sync.Mutex
	waiting map[exchange]chan message // guarded by mu
}

// exchange is one query.
type exchange struct {
	addr netip.AddrPort
	t    string
}

func newExchanges() *exchanges { return &exchanges{waiting: make(map[exchange]chan message)} }

// begin makes the number of a query to addr. The caller ends it.
func (x *exchanges) begin(addr netip.AddrPort) (exchange, <-chan message) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for {
		e := exchange{addr: addr, t: rand.Text()[:8]} // 40 bits
		if x.waiting[e] == nil {
			answer := make(chan message, 1)
			x.waiting[e] = answer
			return e, answer
		}
	}
}

// deliver hands m to whoever waits for it, and reports whether anybody does.
func (x *exchanges) deliver(m message, from netip.AddrPort) bool {
	e := exchange{addr: from, t: m.T}
	x.mu.Lock()
	defer x.mu.Unlock()
	answer := x.waiting[e]
	if answer == nil {
		return false
	}
	delete(x.waiting, e)
	answer <- m // never blocks: the first is the last
	return true
}

func (x *exchanges) end(e exchange) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.waiting, e)
}

var (
	// errSilent means that no answer came.
	errSilent = errors.New("no answer")
	// errNonsense means an answer without what every answer has.
	errNonsense = errors.New("answer says nothing")
)

// reached is a node that answered, and what it said.
type reached struct {
	contact
	reply *result
}

// ask sends a query, and again after a sixth of [Config.QueryTimeout]. Who answers enters the book;
// who has not after a third is remembered as silent until then.
func (n *Node) ask(ctx context.Context, c contact, q string, args arguments) (reached, error) {
	if err := n.sends.Wait(ctx); err != nil {
		return reached{}, err
	}
	e, answer := n.exchanges.begin(c.addr)
	defer n.exchanges.end(e)
	args.ID = string(n.id[:])
	m := message{T: e.t, Y: kindQuery, Q: q, A: &args}
	if n.cfg.ReadOnly {
		m.RO = 1
	}
	packet, err := bencode.Marshal(m)
	if err != nil {
		return reached{}, err
	}
	if err := n.socket.send(packet, c.addr); err != nil {
		return reached{}, err
	}
	got, err := n.await(ctx, answer, func() {
		if n.sends.Allow() {
			_ = n.socket.send(packet, c.addr)
		}
	}, func() { n.book.slow(c.addr) })
	switch {
	case errors.Is(err, errSilent):
		n.book.failed(c.addr)
		return reached{}, err
	case err != nil:
		return reached{}, err
	}
	return n.heard(got, c.addr)
}

// await waits for an answer, and calls again and slow once meanwhile.
func (n *Node) await(ctx context.Context, answer <-chan message, again, slow func()) (message, error) {
	resend := time.NewTimer(n.cfg.QueryTimeout / 6)
	defer resend.Stop()
	soft := time.NewTimer(n.cfg.soft())
	defer soft.Stop()
	end := time.NewTimer(n.cfg.QueryTimeout)
	defer end.Stop()
	for {
		select {
		case m := <-answer:
			return m, nil
		case <-resend.C:
			again()
		case <-soft.C:
			slow()
		case <-end.C:
			return message{}, errSilent
		case <-ctx.Done():
			return message{}, context.Cause(ctx)
		}
	}
}

// heard looks at the answer of the node at addr.
func (n *Node) heard(m message, addr netip.AddrPort) (reached, error) {
	if m.Y == kindError {
		return reached{}, m.refused()
	}
	v, ok := readID(m.R.ID)
	if !ok || v == n.id {
		return reached{}, errNonsense
	}
	got := reached{contact: contact{id: v, addr: addr}, reply: m.R}
	n.book.replied(got.contact)
	n.outside.vote(addr.Addr(), readAddr(m.IP).Addr())
	return got, nil
}

func (n *Node) ping(ctx context.Context, addr netip.AddrPort) {
	_, _ = n.ask(ctx, contact{addr: addr}, "ping", arguments{})
}
