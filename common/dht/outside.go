package dht

import (
	"crypto/rand"
	"hash/crc32"
	"net/netip"
	"sync"
)

const (
	maxVotes    = 32
	neededVotes = 8
)

// outside learns under which address others see this node: replies say it (BEP 42), and what most
// of the latest voters say counts. A voter is a /16, so that one provider has one voice.
type outside struct {
	mu     sync.Mutex
	known  netip.Addr // from an earlier run or an earlier vote; guarded by mu
	voters []netip.Prefix
	votes  map[netip.Prefix]netip.Addr // guarded by mu, as is voters, oldest first
}

func newOutside(known netip.Addr) *outside {
	return &outside{known: known, votes: make(map[netip.Prefix]netip.Addr)}
}

// vote notes that voter sees us at addr.
func (o *outside) vote(voter, addr netip.Addr) {
	prefix, err := voter.Prefix(16)
	if err != nil || (reach{}).check(netip.AddrPortFrom(addr, 1)) != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.votes[prefix]; !ok {
		o.voters = append(o.voters, prefix)
	}
	o.votes[prefix] = addr
	if len(o.voters) > maxVotes {
		delete(o.votes, o.voters[0])
		o.voters = o.voters[1:]
	}
	o.count(addr)
}

// count makes addr the known address when most votes are for it. Caller holds o.mu.
func (o *outside) count(addr netip.Addr) {
	same := 0
	for _, v := range o.votes {
		if v == addr {
			same++
		}
	}
	if same >= neededVotes && 2*same > len(o.votes) {
		o.known = addr
	}
}

// address is the address that others see, invalid when it is not known.
func (o *outside) address() netip.Addr {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.known
}

// nodeID returns the ID to run under: the saved one if it suits the address that others see, else a
// random one that does (BEP 42). Without a known address it is simply random.
func nodeID(saved table, private bool) id {
	free := private || !saved.outside.IsValid()
	if saved.id != (id{}) && (free || saved.id.suits(saved.outside)) {
		return saved.id
	}
	fresh := randomID()
	if !free {
		fresh.suit(saved.outside)
	}
	return fresh
}

func randomID() (v id) {
	_, _ = rand.Read(v[:]) // never fails
	return v
}

// suit ties v to the IPv4 address ip (BEP 42): 21 bits of the ID follow from the address, so that
// nobody chooses a place in the DHT at will.
func (v *id) suit(ip netip.Addr) {
	sum := v.sum(ip)
	v[0], v[1], v[2] = byte(sum>>24), byte(sum>>16), byte(sum>>8)&0xf8|v[2]&7
}

func (v *id) suits(ip netip.Addr) bool {
	tied := *v
	tied.suit(ip)
	return tied == *v
}

func (v *id) sum(ip netip.Addr) uint32 {
	b := ip.As4()
	for i, mask := range [4]byte{0x03, 0x0f, 0x3f, 0xff} {
		b[i] &= mask
	}
	b[0] |= v[19] & 7 << 5
	return crc32.Checksum(b[:], crc32.MakeTable(crc32.Castagnoli))
}
