package dht_test

import (
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	adht "github.com/anacrolix/dht/v2"
	"github.com/anacrolix/dht/v2/bep44"
	"github.com/anacrolix/dht/v2/krpc"
	peer_store "github.com/anacrolix/dht/v2/peer-store"
	"golang.org/x/time/rate"

	"snapswarm/common/dht"
)

// startForeign makes a node of another implementation, which knows the others.
func startForeign(t *testing.T, others ...netip.AddrPort) *adht.Server {
	t.Helper()
	config := adht.NewDefaultServerConfig()
	config.Conn = listen(t)
	config.PeerStore = &foreignPeers{}
	config.Store, config.Exp = bep44.NewMemory(), time.Hour
	config.SendLimiter = rate.NewLimiter(1000, 1000)
	config.StartingNodes = func() (addrs []adht.Addr, _ error) {
		for _, o := range others {
			addrs = append(addrs, adht.NewAddr(net.UDPAddrFromAddrPort(o)))
		}
		return addrs, nil
	}
	s, err := adht.NewServer(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// foreignPeers remembers the last peer alone.
type foreignPeers struct{ last atomic.Pointer[krpc.NodeAddr] }

func (p *foreignPeers) AddPeer(_ peer_store.InfoHash, addr krpc.NodeAddr) {
	p.last.Store(&krpc.NodeAddr{IP: addr.IP.To4(), Port: addr.Port})
}

func (p *foreignPeers) GetPeers(peer_store.InfoHash) []krpc.NodeAddr {
	if addr := p.last.Load(); addr != nil {
		return []krpc.NodeAddr{*addr}
	}
	return nil
}

// Two of our nodes have nothing in common but a node of another implementation.
func TestAnotherImplementationKeepsPointersAndPeers(t *testing.T) {
	foreign := startForeign(t)
	start := func() *dht.Node {
		return startNode(t, dht.Config{Bootstrap: []string{foreign.Addr().String()}, ReadOnly: true})
	}
	rec := sign(t, 5, 1)
	one, other := start(), start()
	if res, err := one.Put(t.Context(), rec); err != nil || res.Stored != 1 || res.ReadBack != 1 {
		t.Fatalf("Put = %+v, %v", res, err)
	}
	if got := lookup(t, other); len(got) != 1 || !got[0].Equal(rec) {
		t.Errorf("Lookup = %v, want %v", got, rec)
	}
	hash := [20]byte{1, 2, 3}
	none := func(p []netip.AddrPort) { t.Errorf("found %v before anybody announced", p) }
	if err := one.Announce(t.Context(), hash, 7001, none); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { // it stores a little after it has replied
		var found []netip.AddrPort
		err := other.Announce(t.Context(), hash, 7001, func(p []netip.AddrPort) { found = append(found, p...) })
		return err == nil && len(found) == 1 && found[0].Port() == 7001
	}, "the peer is not found")
}

// Nodes of another implementation have nothing in common but one of ours.
func TestOurNodeServesAnotherImplementation(t *testing.T) {
	n := startNode(t, dht.Config{Bootstrap: []string{}})
	announce := func(port int) (ports []int) {
		a, err := startForeign(t, address(n)).AnnounceTraversal([20]byte{1, 2, 3}, adht.AnnouncePeer(adht.AnnouncePeerOpts{Port: port}))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		for v := range a.Peers {
			for _, p := range v.Peers {
				ports = append(ports, p.Port)
			}
		}
		return ports
	}
	if got := announce(7001); len(got) != 0 {
		t.Errorf("found %v before anybody announced", got)
	}
	eventually(t, func() bool { return n.Stats().Torrents == 1 }, "the announcement did not arrive")
	if got := announce(7002); !slices.Contains(got, 7001) {
		t.Errorf("found %v, want port 7001", got)
	}
}
