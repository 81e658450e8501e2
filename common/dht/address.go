package dht

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"snapswarm/common/address"
)

// id is a node's identifier or the target of a lookup: 160 bits, compared by XOR (BEP 5).
type id [20]byte

func (a id) distance(b id) (d id) {
	for i := range a {
		d[i] = a[i] ^ b[i]
	}
	return d
}

// compare tells which of x and y is closer to a: negative when x is.
func (a id) compare(x, y id) int {
	dx, dy := a.distance(x), a.distance(y)
	return bytes.Compare(dx[:], dy[:])
}

// contact is another node. A zero ID means that it is not known yet.
type contact struct {
	id   id
	addr netip.AddrPort
}

// reach decides which addresses a node may speak with.
type reach struct{ private bool }

// shared is the address space of carriers and of some clusters (RFC 6598). It is as good as private.
var shared = netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64, 0, 0}), 10)

// errForbidden means an address that this node never speaks with.
var errForbidden = errors.New("address not allowed")

// check fails for an address that this node must not speak with.
func (r reach) check(a netip.AddrPort) error {
	ip := a.Addr()
	private := ip.IsPrivate() || ip.IsLoopback() || shared.Contains(ip)
	switch {
	case a.Port() == 0:
		return fmt.Errorf("%w: %v has no port", errForbidden, a)
	case !ip.Is4():
		return fmt.Errorf("%w: %v is not IPv4", errForbidden, a)
	case r.private && !private:
		return fmt.Errorf("%w: %v is not private, this DHT is", errForbidden, a)
	case r.private:
		return nil
	}
	if err := address.CheckPublic(ip); err != nil {
		return fmt.Errorf("%w: this DHT is public: %w", errForbidden, err)
	}
	return nil
}

// addrPort is a's IPv4 address and port, invalid when it has none.
func addrPort(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := u.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
