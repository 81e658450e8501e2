package schedule

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"time"
)

// View is what a decision rests on.
type View struct {
	Now time.Time
	// Started is when the snapshot began to be fetched.
	Started time.Time
	// Fed is when the peers' rate was last high enough, or Started.
	Fed time.Time
	// Alone means that no way is known to find a peer.
	Alone bool
	// Have is what is present. Wanted is missing, asked for by somebody, and not on its way from an origin.
	Have, Wanted Set
	// InFlight is how many requests to origins are under way, without those of readers.
	InFlight int
	// Uplink is how many pieces per second peers got from here lately.
	Uplink float64
	Peers  []Peer
}

// Peer is a connected peer.
type Peer struct {
	// Key stands for the peer's id: [Key].
	Key uint64
	// Net is [Network] of its address.
	Net uint64
	// Mirror means that the peer takes pieces from origins by this same rule.
	Mirror bool
	// Complete means that it claims to have everything.
	Complete bool
	Has      Set
	// Connected is since when, Delivered when it last sent data that was of use, News when it last told of a new piece.
	Connected, Delivered, News time.Time
}

// sign is when p last showed that it lives.
func (p *Peer) sign() time.Time {
	s := p.Connected
	if p.Delivered.After(s) {
		s = p.Delivered
	}
	if p.News.After(s) {
		s = p.News
	}
	return s
}

// Key condenses a peer id.
func Key(id [20]byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(id[:])
	return mix(h.Sum64())
}

// Network condenses the /24 (IPv4) or /64 (IPv6) of a peer's address. It is 0, which means unlimited, for addresses that nobody
// has many of over the internet: private ones and loopback.
func Network(a netip.Addr) uint64 {
	a = a.Unmap()
	if !a.IsValid() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return 0
	}
	b := a.As16()
	if a.Is4() {
		b[15] = 0
		return mix(binary.BigEndian.Uint64(b[8:]))
	}
	return mix(binary.BigEndian.Uint64(b[:8]))
}

// mix spreads bits (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// rank is the same for everyone (rendezvous hashing): each turn, a unit or an epoch, has its own order of peers.
func rank(turn, key uint64) uint64 { return mix(key ^ mix(turn+0x9e3779b97f4a7c15)) }
