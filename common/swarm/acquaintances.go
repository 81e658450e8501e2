package swarm

import (
	"net/netip"
	"sync"
	"time"

	"github.com/anacrolix/torrent"
	pp "github.com/anacrolix/torrent/peer_protocol"

	"snapswarm/common/snapshot"
)

// acquaintances are the peers that sent useful data, by where they can be dialled. The library tells of them while it holds its
// locks, so nothing of it is called here.
type acquaintances struct {
	mu      sync.Mutex                       // guards what follows
	dialled map[*torrent.Peer]netip.AddrPort // of connected peers, as soon as it is known
	useful  map[snapshot.InfoHash]map[netip.AddrPort]time.Time
}

func newAcquaintances() *acquaintances {
	return &acquaintances{
		dialled: make(map[*torrent.Peer]netip.AddrPort),
		useful:  make(map[snapshot.InfoHash]map[netip.AddrPort]time.Time),
	}
}

// listen has the library tell of everything.
func (a *acquaintances) listen(to *torrent.Callbacks) {
	to.PeerConnAdded = append(to.PeerConnAdded, func(pc *torrent.PeerConn) {
		if pc.Discovery != torrent.PeerSourceIncoming {
			a.reached(&pc.Peer, 0)
		}
	})
	to.ReadExtendedHandshake = func(pc *torrent.PeerConn, m *pp.ExtendedHandshakeMessage) {
		if pc.Discovery == torrent.PeerSourceIncoming && m.Port > 0 && m.Port <= 0xffff {
			a.reached(&pc.Peer, uint16(m.Port))
		}
	}
	to.PeerConnClosed = func(pc *torrent.PeerConn) { a.left(&pc.Peer) }
	to.ReceivedUsefulData = append(to.ReceivedUsefulData, func(e torrent.ReceivedUsefulDataEvent) { a.gave(e.Peer) })
}

// reached notes where p can be dialled: at the address of the connection, with another port unless that is 0.
func (a *acquaintances) reached(p *torrent.Peer, port uint16) {
	addr, err := netip.ParseAddrPort(p.RemoteAddr.String())
	if err != nil {
		return
	}
	if port != 0 {
		addr = netip.AddrPortFrom(addr.Addr(), port)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dialled[p] = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}

func (a *acquaintances) left(p *torrent.Peer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.dialled, p)
}

func (a *acquaintances) gave(p *torrent.Peer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if addr, ok := a.dialled[p]; ok {
		a.note(snapshot.InfoHash(p.Torrent().InfoHash()), addr)
	}
}

// took is gave for a peer that data was sent to, which the library does not tell of.
func (a *acquaintances) took(ih snapshot.InfoHash, p *torrent.Peer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if addr, ok := a.dialled[p]; ok {
		a.note(ih, addr)
	}
}

// note is called with the lock held.
func (a *acquaintances) note(ih snapshot.InfoHash, addr netip.AddrPort) {
	of := a.useful[ih]
	if of == nil {
		of = make(map[netip.AddrPort]time.Time)
		a.useful[ih] = of
	}
	of[addr] = time.Now()
}

// take returns whom data of ih was exchanged with since the last time.
func (a *acquaintances) take(ih snapshot.InfoHash) map[netip.AddrPort]time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.useful[ih]
	delete(a.useful, ih)
	return of
}
