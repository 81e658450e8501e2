package dht

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/anacrolix/torrent/bencode"
)

// query is a query of another node that waits for an answer.
type query struct {
	msg  message
	from netip.AddrPort
}

// handle takes every message that comes in. Nothing is computed here: the next one waits.
func (n *Node) handle(m message, from netip.AddrPort) {
	if m.Y != kindQuery {
		if !n.exchanges.deliver(m, from) {
			n.metrics.drop("unasked")
		}
		return
	}
	if !n.askers.allow(n.source(from), n.cfg.Now()) {
		n.metrics.drop("flood")
		return
	}
	if m.RO == 0 { // a read-only node answers nobody, and must not be passed on (BEP 43)
		n.Greet(from)
	}
	select {
	case n.queries <- query{msg: m, from: from}:
	default: // flooded; UDP promises nothing
		n.metrics.drop("flood")
	}
}

// source is whom the limits count: in a public DHT an address, in a private one, in which many nodes
// may share an address, each node.
func (n *Node) source(from netip.AddrPort) netip.AddrPort {
	if n.cfg.Private {
		return from
	}
	return netip.AddrPortFrom(from.Addr(), 0)
}

// Greet makes the node ask whether there is another one at addr, and remember it then. Addresses of
// strangers are welcome: few are asked at a time, none often, and none that the node must not speak
// with.
func (n *Node) Greet(addr netip.AddrPort) {
	if n.socket.reach.check(addr) != nil || !n.book.greet(addr) {
		return
	}
	select {
	case n.greetings <- addr:
	default: // too many; they will speak again
	}
}

// greetAll asks nodes that spoke first whether they can be reached.
func (n *Node) greetAll() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case addr := <-n.greetings:
			n.ping(n.ctx, addr)
		}
	}
}

// answerAll answers queries until the node closes.
func (n *Node) answerAll() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case q := <-n.queries:
			if packet := n.answer(q); packet != nil && n.replies.Allow() {
				_ = n.socket.send(packet, q.from) // UDP: who misses it asks again
			}
		}
	}
}

// answer is the packet to be sent to who asked q.
func (n *Node) answer(q query) []byte {
	reply := result{ID: string(n.id[:])}
	err := n.fill(&reply, q)
	m := message{T: q.msg.T, Y: kindReply, R: &reply, IP: string(appendAddr(nil, q.from))}
	if err != nil {
		r := errServer
		_ = errors.As(err, &r)
		m = message{T: q.msg.T, Y: kindError, E: r.encode()}
	}
	packet, err := bencode.Marshal(m)
	if err != nil {
		return nil
	}
	return packet
}

// fill answers each query as its BEP says. Errors are refusals.
func (n *Node) fill(r *result, q query) error {
	a := q.msg.A
	target, ok := readID(a.Target)
	if q.msg.Q == "get_peers" || q.msg.Q == "announce_peer" {
		target, ok = readID(a.InfoHash)
	}
	switch q.msg.Q {
	case "ping", "put":
	case "find_node", "get", "get_peers", "announce_peer":
		if !ok {
			return errBadHash
		}
	default:
		n.metrics.answer("unknown")
		return errUnknown
	}
	n.metrics.answer(q.msg.Q)
	switch q.msg.Q {
	case "find_node":
		n.addNodes(r, q, target)
	case "get":
		n.addNodes(r, q, target)
		r.Token = n.tokens.issue(q.from.Addr())
		n.addItem(r, q, target)
	case "get_peers":
		n.addNodes(r, q, target)
		r.Token = n.tokens.issue(q.from.Addr())
		for _, p := range n.peers.get(target) {
			r.Values = append(r.Values, string(appendAddr(nil, p)))
		}
	case "put":
		return n.takePut(q)
	case "announce_peer":
		return n.takeAnnounce(q, target)
	}
	return nil
}

// addNodes adds the closest nodes to target that answered lately, unless only IPv6 ones are wanted
// (BEP 32).
func (n *Node) addNodes(r *result, q query, target id) {
	if want := q.msg.A.Want; len(want) == 0 || slices.Contains(want, "n4") {
		r.setNodes(n.book.closest(target, width, q.from))
	}
}

func (n *Node) addItem(r *result, q query, target id) {
	held, ok := n.items.get(target)
	if !ok {
		return
	}
	if held.mutable() {
		r.Seq = &held.seq
		if q.msg.A.Seq != nil && held.seq <= *q.msg.A.Seq {
			return // not newer than what the other has
		}
		r.K, r.Sig = string(held.key[:]), string(held.sig[:])
	}
	r.V = held.value
}

// checkWrite checks what put and announce_peer have in common.
func (n *Node) checkWrite(q query) error {
	if !n.tokens.valid(q.from.Addr(), q.msg.A.Token) {
		return errBadToken
	}
	if !n.putters.allow(n.source(q.from), n.cfg.Now()) {
		return errTooMany
	}
	return nil
}

func (n *Node) takePut(q query) error {
	if err := n.checkWrite(q); err != nil {
		return err
	}
	i, err := itemIn(q.msg.A)
	if err != nil {
		return err
	}
	return n.items.put(i, q.msg.A.Cas)
}

func (n *Node) takeAnnounce(q query, hash id) error {
	if err := n.checkWrite(q); err != nil {
		return err
	}
	port := int(q.from.Port())
	if q.msg.A.ImpliedPort == 0 {
		port = q.msg.A.Port
	}
	if port <= 0 || port > 0xffff {
		return errBadPort
	}
	n.peers.add(hash, netip.AddrPortFrom(q.from.Addr(), uint16(port)))
	return nil
}
