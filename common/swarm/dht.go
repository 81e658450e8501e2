package swarm

import (
	"context"
	"io"
	"net"
	"net/netip"

	"github.com/anacrolix/dht/v2"
	"github.com/anacrolix/dht/v2/krpc"
	"github.com/anacrolix/torrent"
)

// DHT finds peers and is told about this one (BEP 5). Its methods are called by several goroutines.
type DHT interface {
	// ID and Addr are those of the node; the port is told to peers.
	ID() [20]byte
	Addr() netip.AddrPort
	// Alone reports whether nobody is known or configured who could be asked.
	Alone() bool
	// Greet names an address at which a stranger says that there is a node.
	Greet(addr netip.AddrPort)
	// Announce hands the peers of a torrent to found, again and again, and tells others that there is one on port, where 0 means
	// that of the node. It returns at the end, or soon after ctx ended.
	Announce(ctx context.Context, hash [20]byte, port uint16, found func([]netip.AddrPort)) error
}

// dhtServer is a DHT as the library wants it.
type dhtServer struct{ DHT }

var _ torrent.DhtServer = dhtServer{}

func (s dhtServer) Stats() any { return nil }

func (s dhtServer) Addr() net.Addr { return net.UDPAddrFromAddrPort(s.DHT.Addr()) }

// AddNode and Ping hear of nodes from torrents and peers.
func (s dhtServer) AddNode(node krpc.NodeInfo) error {
	s.Ping(node.Addr.UDP())
	return nil
}

func (s dhtServer) Ping(addr *net.UDPAddr) {
	ap := addr.AddrPort()
	s.Greet(netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
}

func (s dhtServer) WriteStatus(io.Writer) {}

// Announce starts an announcement. An error of it is one of the network, after which it is tried again anyway.
func (s dhtServer) Announce(hash [20]byte, port int, impliedPort bool) (torrent.DhtAnnounce, error) {
	if impliedPort {
		port = 0
	}
	ctx, cancel := context.WithCancel(context.Background())
	a := &dhtAnnounce{cancel: cancel, peers: make(chan dht.PeersValues), done: make(chan struct{})}
	go func() {
		defer close(a.done)
		defer close(a.peers)
		_ = s.DHT.Announce(ctx, hash, uint16(port), func(found []netip.AddrPort) {
			select {
			case a.peers <- peersValues(found):
			case <-ctx.Done():
			}
		})
	}()
	return a, nil
}

func peersValues(found []netip.AddrPort) (v dht.PeersValues) {
	for _, p := range found {
		v.Peers = append(v.Peers, krpc.NodeAddr{IP: p.Addr().AsSlice(), Port: int(p.Port())})
	}
	return v
}

// dhtAnnounce is an announcement under way.
type dhtAnnounce struct {
	cancel context.CancelFunc
	peers  chan dht.PeersValues // closed at the end
	done   chan struct{}
}

func (a *dhtAnnounce) Peers() <-chan dht.PeersValues { return a.peers }

// Close ends the announcement and waits for that.
func (a *dhtAnnounce) Close() {
	a.cancel()
	<-a.done
}
