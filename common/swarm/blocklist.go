package swarm

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/anacrolix/torrent/iplist"
)

// maxBlocklist is far more than the largest public lists have.
const maxBlocklist = 128 << 20

// Blocklist is a set of addresses that no peer may have. The zero value is empty. It does not change, so it may be shared.
type Blocklist struct {
	v4, v6 []addrRange // sorted, apart from each other
}

type addrRange struct{ first, last netip.Addr }

// OpenBlocklist reads a file with one entry a line: a range in PeerGuardian's P2P format ("who: 192.0.2.0-192.0.2.255", IPv4 as
// that format is), a network ("192.0.2.0/24", "2001:db8::/32") or one address. Empty lines and those that begin with # say
// nothing. The error about any other line has its number.
func OpenBlocklist(path string) (*Blocklist, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read blocklist: %w", err)
	}
	defer f.Close()
	b, err := parseBlocklist(f)
	if err != nil {
		return nil, fmt.Errorf("read blocklist %s: %w", path, err)
	}
	return b, nil
}

func parseBlocklist(r io.Reader) (*Blocklist, error) {
	limited := &io.LimitedReader{R: r, N: maxBlocklist + 1}
	lines := bufio.NewScanner(limited)
	b := new(Blocklist)
	number := 0
	for lines.Scan() {
		number++
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		entry, err := parseBlocked(string(text))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		b.add(entry)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", number+1, err)
	}
	if limited.N <= 0 {
		return nil, fmt.Errorf("it has more than %d bytes", maxBlocklist)
	}
	b.v4, b.v6 = joined(b.v4), joined(b.v6)
	return b, nil
}

// parseBlocked parses a line that says something.
func parseBlocked(text string) (addrRange, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return addrRange{addr.Unmap(), addr.Unmap()}, nil
	}
	if network, err := netip.ParsePrefix(text); err == nil {
		return ofNetwork(network)
	}
	// The library takes no spaces around the range, which some lists have.
	who, addresses, _ := cutLast(text, ":")
	p2p, ok, err := iplist.ParseBlocklistP2PLine([]byte(who + ":" + strings.ReplaceAll(addresses, " ", "")))
	first, ok1 := netip.AddrFromSlice(p2p.First)
	last, ok2 := netip.AddrFromSlice(p2p.Last)
	if err != nil || !ok || !ok1 || !ok2 {
		return addrRange{}, fmt.Errorf("%.80q is no address, no network and no range of the P2P format", text)
	}
	if last.Less(first) {
		return addrRange{}, fmt.Errorf("%.80q ends before it begins", text)
	}
	return addrRange{first, last}, nil
}

// cutLast is strings.Cut around the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func ofNetwork(p netip.Prefix) (addrRange, error) {
	first := p.Masked().Addr()
	if first.Is4In6() {
		return addrRange{}, fmt.Errorf("%s is a network of IPv4 addresses in IPv6: write it as IPv4", p)
	}
	last := first.AsSlice()
	for bit := p.Bits(); bit < first.BitLen(); bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	end, _ := netip.AddrFromSlice(last) // as long as that of first
	return addrRange{first, end}, nil
}

func (b *Blocklist) add(r addrRange) {
	if r.first.Is4() {
		b.v4 = append(b.v4, r)
		return
	}
	b.v6 = append(b.v6, r)
}

// joined sorts ranges and makes one of those that overlap: lists of many sources do.
func joined(ranges []addrRange) []addrRange {
	slices.SortFunc(ranges, func(a, b addrRange) int { return a.first.Compare(b.first) })
	var out []addrRange
	for _, r := range ranges {
		if n := len(out); n > 0 && r.first.Compare(out[n-1].last) <= 0 {
			if out[n-1].last.Less(r.last) {
				out[n-1].last = r.last
			}
			continue
		}
		out = append(out, r)
	}
	return out
}

// Contains reports whether addr is blocked. An IPv4 address inside an IPv6 one is the IPv4 address.
func (b *Blocklist) Contains(addr netip.Addr) bool {
	_, ok := b.find(addr)
	return ok
}

func (b *Blocklist) find(addr netip.Addr) (addrRange, bool) {
	if b == nil || !addr.IsValid() {
		return addrRange{}, false
	}
	addr = addr.Unmap().WithZone("")
	ranges := b.v6
	if addr.Is4() {
		ranges = b.v4
	}
	// The last range that begins at or before addr.
	i, exact := slices.BinarySearchFunc(ranges, addr, func(r addrRange, a netip.Addr) int { return r.first.Compare(a) })
	if !exact {
		i--
	}
	if i < 0 || ranges[i].last.Less(addr) {
		return addrRange{}, false
	}
	return ranges[i], true
}

// Len is the number of ranges, of which none overlap.
func (b *Blocklist) Len() int {
	if b == nil {
		return 0
	}
	return len(b.v4) + len(b.v6)
}

// ranger shows a blocklist to the library, whose own type mixes up IPv4 and IPv6 and wants ranges that are apart.
type ranger struct{ *Blocklist }

// Lookup is part of the library's interface.
func (r ranger) Lookup(ip net.IP) (iplist.Range, bool) {
	addr, ok := netip.AddrFromSlice(ip)
	if !ok {
		return iplist.Range{Description: "no address"}, true
	}
	found, ok := r.find(addr)
	if !ok {
		return iplist.Range{}, false
	}
	return iplist.Range{First: found.first.AsSlice(), Last: found.last.AsSlice(), Description: "blocklist"}, true
}

// NumRanges is part of the library's interface.
func (r ranger) NumRanges() int { return r.Len() }

var _ iplist.Ranger = ranger{}
