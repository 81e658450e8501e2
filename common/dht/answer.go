package dht

import (
	"errors"
	"net"
	"net/netip"

	"github.com/anacrolix/dht/v2/bep44"
	"github.com/anacrolix/dht/v2/krpc"
	peer_store "github.com/anacrolix/dht/v2/peer-store"
	"github.com/anacrolix/torrent/bencode"
)

// query is a query of another node that waits for an answer.
type query struct {
	msg  krpc.Msg
	from netip.AddrPort
}

// onQuery takes queries from the library, which holds its lock meanwhile: nothing is computed here.
// Only a ping is left to the library.
func (n *Node) onQuery(m *krpc.Msg, source net.Addr) (propagate bool) {
	from := addrPort(source)
	if !m.ReadOnly && n.book.greet(from) {
		select {
		case n.greetings <- from:
		default: // too many new ones; they will speak again
		}
	}
	if m.Q == "ping" {
		return true
	}
	select {
	case n.queries <- query{msg: *m, from: from}:
	default: // flooded; UDP promises nothing
	}
	return false
}

// answerAll answers queries until the node closes.
func (n *Node) answerAll() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case q := <-n.queries:
			n.answer(q)
		}
	}
}

func (n *Node) answer(q query) {
	reply := krpc.Return{ID: krpc.ID(n.id)}
	var err error
	switch q.msg.Q {
	case "find_node":
		n.addNodes(&reply, q, id(q.msg.A.Target))
	case "get":
		n.answerGet(&reply, q)
	case "get_peers":
		n.answerGetPeers(&reply, q)
	case "put":
		err = n.answerPut(q)
	case "announce_peer":
		err = n.answerAnnounce(q)
	}
	n.metrics.answer(q.msg.Q)
	n.send(q, reply, err)
}

// send sends the reply, or the error if there is one.
func (n *Node) send(q query, reply krpc.Return, failure error) {
	m := krpc.Msg{T: q.msg.T, Y: krpc.YResponse, R: &reply, IP: nodeAddr(q.from)}
	if failure != nil {
		var e krpc.Error
		if !errors.As(failure, &e) {
			e = krpc.Error{Code: krpc.ErrorCodeServerError, Msg: "server error"}
		}
		m = krpc.Msg{T: q.msg.T, Y: krpc.YError, E: &e}
	}
	b, err := bencode.Marshal(m)
	if err != nil || !n.replies.Allow() {
		return
	}
	_, _ = n.conn.WriteTo(b, net.UDPAddrFromAddrPort(q.from)) // UDP: who misses it asks again
}

func nodeAddr(a netip.AddrPort) krpc.NodeAddr {
	return krpc.NodeAddr{IP: a.Addr().AsSlice(), Port: int(a.Port())}
}

// addNodes adds the closest nodes to target that answered lately, unless only IPv6 ones are wanted
// (BEP 32).
func (n *Node) addNodes(r *krpc.Return, q query, target id) {
	wanted := len(q.msg.A.Want) == 0
	for _, w := range q.msg.A.Want {
		wanted = wanted || w == krpc.WantNodes
	}
	if !wanted {
		return
	}
	for _, c := range n.book.closest(target, width, q.from) {
		r.Nodes = append(r.Nodes, krpc.NodeInfo{ID: krpc.ID(c.id), Addr: nodeAddr(c.addr)})
	}
}

func (n *Node) addToken(r *krpc.Return, q query) {
	token := n.tokens.issue(q.from.Addr())
	r.Token = &token
}

func (n *Node) answerGet(r *krpc.Return, q query) {
	target := id(q.msg.A.Target)
	n.addNodes(r, q, target)
	n.addToken(r, q)
	held, ok := n.items.get(target)
	if !ok {
		return
	}
	if held.mutable() {
		r.Seq = &held.seq
		if q.msg.A.Seq != nil && held.seq <= *q.msg.A.Seq {
			return // not newer than what the other has
		}
		r.K, r.Sig = held.key, held.sig
	}
	r.V = held.value
}

func (n *Node) answerGetPeers(r *krpc.Return, q query) {
	hash := q.msg.A.InfoHash
	n.addNodes(r, q, id(hash))
	n.addToken(r, q)
	r.Values = n.peers.GetPeers(peer_store.InfoHash(hash))
}

// checkWrite checks what put and announce_peer have in common.
func (n *Node) checkWrite(q query) error {
	if !n.tokens.valid(q.from.Addr(), q.msg.A.Token) {
		return krpc.Error{Code: krpc.ErrorCodeProtocolError, Msg: "bad token"}
	}
	if !n.putters.allow(q.from.Addr(), n.cfg.Now()) {
		return krpc.Error{Code: krpc.ErrorCodeServerError, Msg: "too many writes from this address"}
	}
	return nil
}

func (n *Node) answerPut(q query) error {
	if err := n.checkWrite(q); err != nil {
		return err
	}
	a := q.msg.A
	value, err := bencode.Marshal(a.V)
	if err != nil {
		return bep44.ErrInvalidSignature
	}
	i := item{value: value, key: a.K, salt: string(a.Salt), sig: a.Sig}
	if i.mutable() && a.Seq == nil {
		return krpc.Error{Code: krpc.ErrorCodeProtocolError, Msg: "no seq"}
	}
	if a.Seq != nil {
		i.seq = *a.Seq
	}
	return n.items.put(i, a.Cas)
}

func (n *Node) answerAnnounce(q query) error {
	if err := n.checkWrite(q); err != nil {
		return err
	}
	port := int(q.from.Port())
	if !q.msg.A.ImpliedPort {
		if q.msg.A.Port == nil || *q.msg.A.Port <= 0 || *q.msg.A.Port > 0xffff {
			return krpc.Error{Code: krpc.ErrorCodeProtocolError, Msg: "bad port"}
		}
		port = *q.msg.A.Port
	}
	n.peers.AddPeer(peer_store.InfoHash(q.msg.A.InfoHash), krpc.NodeAddr{IP: q.from.Addr().AsSlice(), Port: port})
	return nil
}

// closedStore is what the library gets as its store of items: nothing enters it, because queries
// that would are answered here.
type closedStore struct{}

func (closedStore) Put(*bep44.Item) error { return bep44.ErrItemNotFound }

func (closedStore) Get(bep44.Target) (*bep44.Item, error) { return nil, bep44.ErrItemNotFound }

func (closedStore) Del(bep44.Target) error { return nil }
