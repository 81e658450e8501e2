package dht

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// CheckReach gives tests the rule for addresses.
func CheckReach(private bool, addr string) error {
	return reach{private: private}.check(netip.MustParseAddrPort(addr))
}

// ReencodeTable parses a saved table and writes it again.
func ReencodeTable(b []byte, private bool) ([]byte, error) {
	t, err := parseTable(b, reach{private: private})
	return t.encode(), err
}

// Vote lets a voter tell a fresh node its address and returns what is then believed.
func Vote(votes map[string]string) netip.Addr {
	o := newOutside(netip.Addr{})
	for voter, addr := range votes {
		o.vote(netip.MustParseAddr(voter), netip.MustParseAddr(addr))
	}
	return o.address()
}

// NodeID gives tests the ID chosen with a saved one and the address that others see.
func NodeID(saved [20]byte, outside netip.Addr, private bool) [20]byte {
	return nodeID(table{id: saved, outside: outside}, private)
}

// Answerer returns what a node, which has no socket, answers packets with.
func Answerer() func(packet []byte) (answer []byte, ok bool) {
	cfg := Config{Private: true, MaxItems: 10, MaxTorrents: 10}
	cfg.applyDefaults()
	n := newNode(cfg, table{})
	from := netip.MustParseAddrPort("127.0.0.1:7")
	return func(packet []byte) ([]byte, bool) {
		m, err := parse(packet)
		if err != nil || m.Y != kindQuery {
			return nil, false
		}
		if m.A.Token == "x" {
			m.A.Token = n.tokens.issue(from.Addr())
		}
		return n.answer(query{msg: m, from: from}), true
	}
}

// Hearer returns what a lookup makes of a packet that answers it: how many valid records, and how
// many nodes to be asked.
func Hearer(ch snapshot.Channel) func(packet []byte) (valid, nodes int) {
	cfg := Config{Private: true}
	cfg.applyDefaults()
	n := newNode(cfg, table{})
	return func(packet []byte) (int, int) {
		m, err := parse(packet)
		if err != nil || m.Y == kindQuery {
			return 0, 0
		}
		r, err := n.heard(m, netip.MustParseAddrPort("127.0.0.1:7"))
		if err != nil {
			_ = err.Error()
			return 0, 0
		}
		_ = r.reply.peers()
		f := &found{ch: ch, holds: make(map[netip.AddrPort]pointer.Record)}
		n.take(f, r)
		t := newTraversal(id{1}, n.id, n.socket.reach, hasToken)
		t.take(r)
		return len(f.valid), len(t.queue)
	}
}

// Meet asks the node at addr whether it is there, and reports whether it is known now.
func (n *Node) Meet(ctx context.Context, addr netip.AddrPort) bool {
	n.ping(ctx, addr)
	return slices.ContainsFunc(n.book.all(), func(c contact) bool { return c.addr == addr })
}

// SendTo sends bytes from the node's socket.
func (n *Node) SendTo(b []byte, addr netip.AddrPort) error {
	return n.socket.send(b, addr)
}

// KeptPeers lets so many peers announce themselves for each of so many torrents to a store of limit
// torrents, and returns how many it says that it keeps, and how many are found in it.
func KeptPeers(limit, torrents, peers int) (kept, found int) {
	s := newPeerStore(limit, time.Now)
	for hash := range torrents {
		for port := range peers {
			s.add(id{1, byte(hash)}, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), uint16(port+1)))
		}
	}
	for hash := range torrents {
		if e := s.byHash[id{1, byte(hash)}]; e != nil {
			found += len(e.Value.(*swarm).peers)
		}
	}
	return s.count, found
}

// Queued is how many of the addresses a traversal would ask.
func Queued(private bool, addrs ...string) int {
	t := newTraversal(id{1}, id{2}, reach{private: private}, nil)
	for i, a := range addrs {
		t.add([]contact{{id: id{3, byte(i)}, addr: netip.MustParseAddrPort(a)}})
	}
	return len(t.queue)
}
