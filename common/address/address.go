// Package address tells addresses of the public internet from all others. Addresses that strangers
// name, in pointers, torrents or the DHT, are dialled only if they are public; otherwise anyone could
// make this machine talk to its own network or to a cloud's metadata service.
package address

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// ErrNotPublic is wrapped by errors about hosts that a stranger named and that are not public: this machine, its
// network, a cloud's metadata service, addresses reserved for other purposes.
var ErrNotPublic = errors.New("address is not public")

// CheckPublic accepts addresses that belong to the public internet (IANA IPv4 and IPv6 special-purpose address
// registries, RFC 6890). An IPv4 address inside an IPv6 one is judged like the IPv4 address.
func CheckPublic(addr netip.Addr) error {
	if !addr.IsValid() || addr.Zone() != "" {
		return fmt.Errorf("%w: %v", ErrNotPublic, addr)
	}
	plain := unembed(addr)
	if plain.Is4() {
		return refuseIn(addr, plain, special4())
	}
	if !netip.MustParsePrefix("2000::/3").Contains(plain) { // all that is allocated to the public
		return fmt.Errorf("%w: %v", ErrNotPublic, addr)
	}
	return refuseIn(addr, plain, special6())
}

// ControlPublic is a net.Dialer's Control that refuses addresses that are not public. It sees the
// address that the connection really goes to, after name resolution, so that no DNS answer can get
// around it. The network is any of tcp and udp.
func ControlPublic(_, at string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(at)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotPublic, err)
	}
	return CheckPublic(ap.Addr())
}

func refuseIn(shown, addr netip.Addr, ranges []netip.Prefix) error {
	for _, r := range ranges {
		if r.Contains(addr) {
			return fmt.Errorf("%w: %v lies in %v", ErrNotPublic, shown, r)
		}
	}
	return nil
}

// unembed finds the IPv4 address that packets to addr end at: v4-mapped (RFC 4291), NAT64 (RFC 6052), 6to4 (RFC 3056).
func unembed(addr netip.Addr) netip.Addr {
	addr = addr.Unmap()
	if addr.Is4() {
		return addr
	}
	b := addr.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(addr):
		return netip.AddrFrom4([4]byte(b[12:]))
	case netip.MustParsePrefix("2002::/16").Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return addr
}

func special4() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),        // this network
		netip.MustParsePrefix("10.0.0.0/8"),       // private
		netip.MustParsePrefix("100.64.0.0/10"),    // carrier NAT; Alibaba's metadata
		netip.MustParsePrefix("127.0.0.0/8"),      // loopback
		netip.MustParsePrefix("168.63.129.16/32"), // Azure's platform service
		netip.MustParsePrefix("169.254.0.0/16"),   // link-local; metadata of most clouds
		netip.MustParsePrefix("172.16.0.0/12"),    // private
		netip.MustParsePrefix("192.0.0.0/24"),     // protocol assignments; Oracle's metadata
		netip.MustParsePrefix("192.0.2.0/24"),     // documentation
		netip.MustParsePrefix("192.88.99.0/24"),   // 6to4 relays
		netip.MustParsePrefix("192.168.0.0/16"),   // private
		netip.MustParsePrefix("198.18.0.0/15"),    // benchmarks
		netip.MustParsePrefix("198.51.100.0/24"),  // documentation
		netip.MustParsePrefix("203.0.113.0/24"),   // documentation
		netip.MustParsePrefix("224.0.0.0/4"),      // multicast
		netip.MustParsePrefix("240.0.0.0/4"),      // reserved, broadcast
	}
}

func special6() []netip.Prefix { // within 2000::/3
	return []netip.Prefix{
		netip.MustParsePrefix("2001::/23"),     // protocol assignments; Teredo, ORCHID, benchmarks
		netip.MustParsePrefix("2001:db8::/32"), // documentation
		netip.MustParsePrefix("3fff::/20"),     // documentation
	}
}
