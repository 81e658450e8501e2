package swarm_test

import (
	"maps"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/anacrolix/dht/v2"
	"github.com/anacrolix/dht/v2/krpc"
	peer_store "github.com/anacrolix/dht/v2/peer-store"

	"snapswarm/common/swarm"
)

// newNode starts a DHT node on loopback that knows the others.
func newNode(t *testing.T, conn net.PacketConn, others ...net.Addr) *dht.Server {
	t.Helper()
	config := dht.NewDefaultServerConfig()
	config.Conn = conn
	config.NoSecurity = true
	config.PeerStore = &peerStore{peers: make(map[peer_store.InfoHash]map[string]krpc.NodeAddr)}
	config.StartingNodes = func() ([]dht.Addr, error) {
		var nodes []dht.Addr
		for _, o := range others {
			nodes = append(nodes, dht.NewAddr(o))
		}
		return nodes, nil
	}
	s, err := dht.NewServer(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// peerStore remembers everybody. The library's own keeps one peer per IP address and returns addresses that are none.
type peerStore struct {
	mu    sync.Mutex
	peers map[peer_store.InfoHash]map[string]krpc.NodeAddr
}

func (p *peerStore) AddPeer(ih peer_store.InfoHash, addr krpc.NodeAddr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.peers[ih] == nil {
		p.peers[ih] = make(map[string]krpc.NodeAddr)
	}
	p.peers[ih][addr.String()] = addr
}

func (p *peerStore) GetPeers(ih peer_store.InfoHash) []krpc.NodeAddr {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.peers[ih]))
}

// Two clients that know nothing of each other find each other by a DHT node that both know. Their UDP port, from which they
// announce, is their TCP port.
func TestClientsFindEachOtherByDHT(t *testing.T) {
	b, tor := content(t, "data.zst", 10*testPiece, testPiece)
	router, err := swarm.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = router.Close() })
	newNode(t, router.UDP)

	start := func() *swarm.Client {
		l, err := swarm.Listen(t.Context(), "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		node := newNode(t, l.UDP, router.UDP.LocalAddr())
		return newClient(t, swarm.Fast(swarm.Config{Listeners: l, DHT: node}))
	}
	dir := t.TempDir()
	download(t, dir, b, tor)
	leech := start()
	// The leech comes first and finds nobody: it must ask again soon.
	s := add(t, leech, swarm.AddOptions{Torrent: tor, Background: true})
	add(t, start(), swarm.AddOptions{Torrent: tor, Dir: dir})
	waitDone(t, s)
	wantFile(t, s.Path(), b)
}
