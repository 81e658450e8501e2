package swarm

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"time"

	"github.com/anacrolix/torrent"

	"snapswarm/common/swarm/schedule"
)

// unitBytes is what one request to an origin is for, if pieces are smaller.
const unitBytes = 4 << 20

func newRule(c Config, self [20]byte, pieces int, pieceLength int64, rng *rand.Rand) *schedule.Rule {
	tuning := schedule.DefaultTuning()
	tuning.Alive, tuning.MostInFlight = c.tuning.alive, c.tuning.slots
	return schedule.New(schedule.Config{
		Self: self, Pieces: pieces,
		// Small snapshots are cut finer, so that mirrors have something to share.
		Unit:   max(1, min(int(unitBytes/pieceLength), pieces/32)),
		Always: c.Origins == OriginAlways, Patience: c.OriginPatience, Grace: c.tuning.grace, Settle: c.tuning.settle, Overdue: c.tuning.overdue,
		Tuning: tuning,
	}, rng)
}

// neighbours are the connected peers as they were observed over time.
type neighbours struct {
	pieces int
	known  map[torrent.PeerID]*neighbour
}

type neighbour struct {
	peer   schedule.Peer
	useful int64 // bytes it has sent
	count  int   // pieces it claims
	seen   time.Time
}

// observe brings the neighbours up to date and returns them, each once.
func (n *neighbours) observe(now time.Time, conns []*torrent.PeerConn, grace time.Duration) []schedule.Peer {
	peers := make([]schedule.Peer, 0, len(conns))
	for _, pc := range conns {
		p := n.known[pc.PeerID]
		if p == nil {
			p = &neighbour{peer: newPeer(pc, n.pieces, now)}
			n.known[pc.PeerID] = p
		}
		if p.seen.Equal(now) {
			continue // a second connection to the same peer
		}
		p.seen = now
		p.observe(now, pc, n.pieces, grace)
		peers = append(peers, p.peer)
	}
	for id, p := range n.known {
		if !p.seen.Equal(now) {
			delete(n.known, id)
		}
	}
	return peers
}

func newPeer(pc *torrent.PeerConn, pieces int, now time.Time) schedule.Peer {
	p := schedule.Peer{
		Key: schedule.Key(pc.PeerID), Mirror: strings.HasPrefix(string(pc.PeerID[:]), mirrorPrefix),
		Has: schedule.NewSet(pieces), Connected: now,
	}
	if addr, err := netip.ParseAddrPort(pc.RemoteAddr.String()); err == nil {
		p.Net = schedule.Network(addr.Addr())
	}
	return p
}

// observe notes what changed. What a peer tells at the beginning is no news: liars claim everything then.
func (p *neighbour) observe(now time.Time, pc *torrent.PeerConn, pieces int, grace time.Duration) {
	stats := pc.Stats()
	if useful := stats.BytesReadUsefulData.Int64(); useful != p.useful {
		p.useful, p.peer.Delivered = useful, now
	}
	if stats.RemotePieceCount == p.count {
		return
	}
	if stats.RemotePieceCount > p.count && now.Sub(p.peer.Connected) >= grace {
		p.peer.News = now
	}
	p.count = stats.RemotePieceCount
	p.peer.Complete = p.count >= pieces
	p.peer.Has.Clear()
	// A peer may claim more pieces than there are while the library finds out.
	copy(p.peer.Has, pc.PeerPieces().ToDense())
}

// view is what the schedule decides on.
func (l *loop) view(now time.Time) *schedule.View {
	n, depth := len(l.set), l.origins.depth(now)
	v := &schedule.View{
		Now: now, Started: l.started, Fed: l.lastPeers, Have: schedule.NewSet(n), Wanted: schedule.NewSet(n),
		Alone:    l.s.find.alone(),
		InFlight: l.flights.n - l.flights.urgent,
		Uplink:   l.uplink.rate / float64(l.s.torrent.PieceLength),
		Peers:    l.neighbours.observe(now, l.s.handle.PeerConns(), l.tuning.grace),
	}
	for i := range n {
		switch {
		case l.s.file.has(i):
			v.Have.Add(i)
		case l.wanted(i) && l.behind(i) <= depth:
			v.Wanted.Add(i)
		}
	}
	return v
}

// claimed reports whether a connected peer says that it has piece i.
func claimed(peers []schedule.Peer, i int) bool {
	for _, p := range peers {
		if p.Has.Has(i) {
			return true
		}
	}
	return false
}
