package dht

import (
	"net"
	"net/netip"

	"github.com/anacrolix/dht/v2/krpc"
)

// CheckReach gives tests the rule for addresses.
func CheckReach(private bool, addr string) error {
	return reach{private: private}.check(netip.MustParseAddrPort(addr))
}

// WellFormed gives tests the wall's judgement of a packet.
func WellFormed(b []byte) bool { return wellFormed(b) }

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
func NodeID(saved krpc.ID, outside netip.Addr, private bool) krpc.ID {
	return krpc.ID(nodeID(table{id: id(saved), outside: outside}, private))
}

// ID is the node's ID.
func (n *Node) ID() krpc.ID { return krpc.ID(n.id) }

// SendTo sends bytes from the node's socket, as the library would.
func (n *Node) SendTo(b []byte, addr netip.AddrPort) error {
	_, err := n.conn.WriteTo(b, net.UDPAddrFromAddrPort(addr))
	return err
}

// Keep puts a value into the node's own store, in the name of another node.
func (n *Node) Keep(value []byte) error { return n.items.put(item{value: value}, 0) }

// Queued is how many of the addresses a traversal would ask.
func Queued(private bool, addrs ...string) int {
	t := newTraversal(id{1}, id{2}, reach{private: private}, nil)
	for i, a := range addrs {
		t.add([]contact{{id: id{3, byte(i)}, addr: netip.MustParseAddrPort(a)}})
	}
	return len(t.queue)
}
