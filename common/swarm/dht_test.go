package swarm_test

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"snapswarm/common/swarm"
)

// rendezvous is a DHT in a map, which all nodes share.
type rendezvous struct {
	mu    sync.Mutex
	peers map[[20]byte][]netip.AddrPort
}

// node is a node of a rendezvous.
type node struct {
	*rendezvous
	addr netip.AddrPort
}

func (n node) ID() [20]byte { return [20]byte{1} }

func (n node) Addr() netip.AddrPort { return n.addr }

func (n node) Alone() bool { return false }

func (n node) Greet(netip.AddrPort) {}

func (n node) Announce(ctx context.Context, hash [20]byte, port uint16, found func([]netip.AddrPort)) error {
	n.mu.Lock()
	others := slices.Clone(n.peers[hash])
	me := n.addr
	if port != 0 {
		me = netip.AddrPortFrom(n.addr.Addr(), port)
	}
	if !slices.Contains(others, me) {
		n.peers[hash] = append(n.peers[hash], me)
	}
	n.mu.Unlock()
	found(others)
	return ctx.Err()
}

// hermit is a node that knows nobody and has nobody to ask.
type hermit struct{ node }

func (hermit) Alone() bool { return true }

// Nobody can be the first peer where none can be found: an origin is asked at once.
func TestWithoutAWayToPeersNoneIsWaitedFor(t *testing.T) {
	b, tor := content(t, "data.zst", 10*testPiece, testPiece)
	none := &rendezvous{peers: make(map[[20]byte][]netip.AddrPort)}
	for name, dht := range map[string]swarm.DHT{"no DHT": nil, "a DHT of one": hermit{node{rendezvous: none}}} {
		t.Run(name, func(t *testing.T) {
			config := swarm.WithGrace(swarm.Fast(swarm.Config{HTTP: client(t), DHT: dht, OriginPatience: time.Hour}), time.Hour)
			o := newOrigin(t, b)
			s := add(t, newClient(t, config), swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}, Background: true})
			waitDone(t, s)
			wantFile(t, s.Path(), b)
		})
	}
}

// Two clients that know nothing of each other find each other by the DHT. Their UDP port, from which they announce, is their
// TCP port.
func TestClientsFindEachOtherByDHT(t *testing.T) {
	b, tor := content(t, "data.zst", 10*testPiece, testPiece)
	all := &rendezvous{peers: make(map[[20]byte][]netip.AddrPort)}
	start := func() *swarm.Client {
		l, err := swarm.Listen(t.Context(), "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		addr := netip.MustParseAddrPort(l.UDP.LocalAddr().String())
		return newClient(t, swarm.Fast(swarm.Config{Listeners: l, DHT: node{all, addr}}))
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
