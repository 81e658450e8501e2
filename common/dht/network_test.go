package dht_test

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"snapswarm/common/dht"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// queryTimeout is short, since loopback answers at once or never, but for a busy machine.
const queryTimeout = time.Second

func listen(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// startNode makes a private node on loopback that runs until the test ends.
func startNode(t *testing.T, cfg dht.Config) *dht.Node {
	t.Helper()
	n, stop := startStoppable(t, cfg)
	t.Cleanup(stop)
	return n
}

// startStoppable is startNode with an end of its own. It may be ended twice.
func startStoppable(t *testing.T, cfg dht.Config) (n *dht.Node, stop func()) {
	t.Helper()
	cfg.Conn, cfg.Private = listen(t), true
	if cfg.QueryTimeout == 0 {
		cfg.QueryTimeout = queryTimeout
	}
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	n, err := dht.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx); close(done) }()
	return n, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
		if err := n.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
}

// startNetwork makes a network of size nodes that know each other through the first.
func startNetwork(t *testing.T, size int) []*dht.Node {
	t.Helper()
	nodes := []*dht.Node{startNode(t, dht.Config{Bootstrap: []string{}})}
	for len(nodes) < size {
		nodes = append(nodes, startNode(t, dht.Config{Bootstrap: []string{address(nodes[0]).String()}}))
	}
	for i, n := range nodes {
		eventually(t, func() bool { return n.Stats().Nodes >= min(size-1, 4) }, "node %d knows only a few others", i)
	}
	return nodes
}

// acquaint makes all nodes know each other.
func acquaint(t *testing.T, nodes []*dht.Node) {
	t.Helper()
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			for _, other := range nodes {
				for n != other && !n.Meet(t.Context(), address(other)) && t.Context().Err() == nil {
				}
			}
		})
	}
	wg.Wait()
}

func address(n *dht.Node) netip.AddrPort {
	return n.Addr()
}

// eventually polls until ok, for ten seconds.
func eventually(t *testing.T, ok func() bool, format string, args ...any) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf(format, args...)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func testKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

func testChannel() snapshot.Channel {
	ch, err := snapshot.NewChannel(testKey().Public().(ed25519.PublicKey), "daily")
	if err != nil {
		panic(err)
	}
	return ch
}

// sign makes a valid record of the test channel that differs with seq and ih.
func sign(t testing.TB, seq int64, ih byte) pointer.Record {
	t.Helper()
	rec, err := pointer.Sign(testKey(), "daily", seq, pointer.Pointer{InfoHash: snapshot.InfoHash{ih}})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// lookup fails the test unless the node finds exactly the records of these sequence numbers.
func lookup(t *testing.T, n *dht.Node) []pointer.Record {
	t.Helper()
	records, err := n.Lookup(t.Context(), testChannel())
	if err != nil {
		t.Fatalf("Lookup = %v", err)
	}
	return records
}
