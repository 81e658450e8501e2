package swarm_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

// shake does the first half of a BitTorrent connection (BEP 3) and reports whether the other side did as well. The connection stays.
func shake(t *testing.T, addr string, ih snapshot.InfoHash, id byte) (net.Conn, bool) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil { // closed before it was seen here that it was open
		return nil, false
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patient)); err != nil {
		t.Fatal(err)
	}
	hello := append([]byte("\x13BitTorrent protocol\x00\x00\x00\x00\x00\x00\x00\x00"), ih[:]...)
	_, _ = conn.Write(append(hello, bytes.Repeat([]byte{id}, 20)...)) // a refused one may be closed already
	answer := make([]byte, 68)
	_, err = io.ReadFull(conn, answer)
	return conn, err == nil
}

func TestConnectionsInAll(t *testing.T) {
	b, tor := content(t, "data.zst", 3*testPiece, testPiece)
	c := newClient(t, swarm.Fast(swarm.Config{MaxConnections: 2}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Background: true})
	first, ok1 := shake(t, c.Addr().String(), tor.InfoHash, 1)
	_, ok2 := shake(t, c.Addr().String(), tor.InfoHash, 2)
	if !ok1 || !ok2 {
		t.Fatalf("two connections were taken: %t, %t; want both", ok1, ok2)
	}
	if _, ok := shake(t, c.Addr().String(), tor.InfoHash, 3); ok {
		t.Error("a third connection was taken, want 2 in all")
	}
	seed := newSeed(t, b, tor)
	s.AddPeers(seed.Addr().String()) // named by the operator, so it is dialled in any case
	waitDone(t, s)
	_ = first.Close()
	eventually(t, "room for another one", func() bool {
		_, ok := shake(t, c.Addr().String(), tor.InfoHash, 4)
		return ok
	})
}

func TestPeersOfASnapshot(t *testing.T) {
	_, tor := content(t, "data.zst", 3*testPiece, testPiece)
	c := newClient(t, swarm.Fast(swarm.Config{MaxPeers: 2}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Background: true})
	var sentAway atomic.Int64
	for i := range byte(5) {
		conn, ok := shake(t, c.Addr().String(), tor.InfoHash, i+1)
		if !ok {
			sentAway.Add(1)
			continue
		}
		go func() {
			_, _ = io.Copy(io.Discard, conn)
			sentAway.Add(1)
		}()
	}
	eventually(t, "three of five are sent away", func() bool { return sentAway.Load() == 3 })
	if n := s.Stats().Peers; n != 2 {
		t.Errorf("%d peers, want 2", n)
	}
}

// silentPeers take connections and say nothing.
type silentPeers struct {
	mu         sync.Mutex
	addrs      []string
	seen       map[string]bool
	open, most int
}

func newSilentPeers(t *testing.T, n int) *silentPeers {
	t.Helper()
	s := &silentPeers{seen: make(map[string]bool)}
	for range n {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		s.addrs = append(s.addrs, l.Addr().String())
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go s.hold(conn)
			}
		}()
	}
	return s
}

// hold keeps a connection for long enough for others to come as well.
func (s *silentPeers) hold(conn net.Conn) {
	s.mu.Lock()
	s.seen[conn.LocalAddr().String()] = true
	s.open++
	s.most = max(s.most, s.open)
	s.mu.Unlock()
	time.Sleep(200 * time.Millisecond)
	s.mu.Lock()
	s.open--
	s.mu.Unlock()
	_ = conn.Close()
}

func TestHalfOpenConnections(t *testing.T) {
	_, tor := content(t, "data.zst", 3*testPiece, testPiece)
	peers := newSilentPeers(t, 6)
	c := newClient(t, swarm.Fast(swarm.Config{MaxHalfOpen: 2}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Background: true})
	s.AddPeers(peers.addrs...)
	eventually(t, "all were tried", func() bool {
		peers.mu.Lock()
		defer peers.mu.Unlock()
		return len(peers.seen) == 6
	})
	if peers.most != 2 {
		t.Errorf("%d connections were being opened at once, want 2", peers.most)
	}
}

func TestBlockedPeersAreNeitherDialledNorLetIn(t *testing.T) {
	b, tor := content(t, "data.zst", 3*testPiece, testPiece)
	path := filepath.Join(t.TempDir(), "blocklist")
	if err := os.WriteFile(path, []byte("us: 127.0.0.1-127.0.0.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := swarm.OpenBlocklist(path)
	if err != nil {
		t.Fatal(err)
	}
	peers := newSilentPeers(t, 1)
	seed := newSeed(t, b, tor)
	c := newClient(t, swarm.Fast(swarm.Config{Blocklist: list, SeedPeers: []string{peers.addrs[0], seed.Addr().String()}}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Background: true})
	if _, ok := shake(t, c.Addr().String(), tor.InfoHash, 1); ok {
		t.Error("a blocked peer was let in")
	}
	// The same client with the same addresses, but for the list, shows that they would have been dialled by now.
	open := newClient(t, swarm.Fast(swarm.Config{SeedPeers: []string{seed.Addr().String()}}))
	waitDone(t, add(t, open, swarm.AddOptions{Torrent: tor, Background: true}))
	if peers.mu.Lock(); len(peers.seen) != 0 {
		t.Error("a blocked peer was dialled")
	}
	peers.mu.Unlock()
	if st := s.Stats(); st.Pieces != 0 || st.Peers != 0 {
		t.Errorf("%d pieces from %d blocked peers", st.Pieces, st.Peers)
	}
}

// A transfer cannot be faster than its limit allows, whatever this machine does; how close it comes is measured elsewhere.
func TestLimitsHold(t *testing.T) {
	const limit, size = 1 << 20, 2<<20 + 1
	b, tor := content(t, "data.zst", size, testPiece)
	origin := newOrigin(t, b)
	for _, row := range []struct {
		name        string
		seed, leech swarm.Config
	}{
		{"upload to peers", swarm.Config{UploadLimit: limit}, swarm.Config{Origins: swarm.OriginNever}},
		{"download from peers", swarm.Config{}, swarm.Config{DownloadLimit: limit, Origins: swarm.OriginNever}},
		{"download from origins", swarm.Config{}, swarm.Config{DownloadLimit: limit, Origins: swarm.OriginAlways}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			config := swarm.Fast(row.leech)
			config.HTTP = client(t)
			o := swarm.AddOptions{Torrent: tor, Background: true}
			if row.leech.Origins == swarm.OriginAlways {
				o.Origins = []string{origin.URL}
			} else {
				config.SeedPeers = []string{newLimitedSeed(t, row.seed, b, tor).Addr().String()}
			}
			start := time.Now()
			s := add(t, newClient(t, config), o)
			waitDone(t, s)
			took := time.Since(start)
			const burst = 1 << 20 // at most, of any limiter
			if least := time.Duration(size-burst) * time.Second / limit; took < least {
				t.Errorf("%d bytes took %v, want at least %v at %d bytes per second", size, took, least, limit)
			}
			t.Logf("%d bytes at %d per second took %v", size, limit, took)
			if st := s.Stats(); st.FromOrigin+st.FromPeers != size || (st.FromOrigin > 0) != (row.leech.Origins == swarm.OriginAlways) {
				t.Errorf("%d bytes from origins, %d from peers", st.FromOrigin, st.FromPeers)
			}
		})
	}
}

func newLimitedSeed(t *testing.T, config swarm.Config, b []byte, tor *snapshot.Torrent) *swarm.Client {
	t.Helper()
	c := newClient(t, swarm.Fast(config))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, tor.Name), b, 0o600); err != nil {
		t.Fatal(err)
	}
	add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Have: true})
	return c
}
