package swarm_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"snapswarm/common/swarm"
)

// tracker is one of our own (BEP 3, BEP 23): it names everybody who has announced, and is told when they leave.
type tracker struct {
	mu    sync.Mutex
	peers map[netip.AddrPort]bool
}

func newTracker(t *testing.T) (announce string, tr *tracker) {
	tr = &tracker{peers: make(map[netip.AddrPort]bool)}
	server := httptest.NewServer(tr)
	t.Cleanup(server.Close)
	return server.URL + "/announce", tr
}

func (tr *tracker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	from := netip.MustParseAddrPort(r.RemoteAddr)
	var port uint16
	if _, err := fmt.Sscan(r.FormValue("port"), &port); err != nil || len(r.FormValue("info_hash")) != 20 {
		http.Error(w, "no announcement", http.StatusBadRequest)
		return
	}
	if me := netip.AddrPortFrom(from.Addr(), port); r.FormValue("event") == "stopped" {
		delete(tr.peers, me)
	} else {
		tr.peers[me] = true
	}
	var compact []byte
	for p := range tr.peers {
		compact = binary.BigEndian.AppendUint16(append(compact, p.Addr().AsSlice()...), p.Port())
	}
	fmt.Fprintf(w, "d8:intervali60e5:peers%d:%se", len(compact), compact)
}

func (tr *tracker) known() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.peers)
}

func TestClientsFindEachOtherByTracker(t *testing.T) {
	b, tor := content(t, "data.zst", 10*testPiece, testPiece)
	announce, tr := newTracker(t)
	seed := newLimitedSeed(t, swarm.Config{Trackers: []string{announce}}, b, tor)
	eventually(t, "the seed has announced", func() bool { return tr.known() == 1 })
	leech := newClient(t, swarm.Fast(swarm.Config{Trackers: []string{announce}}))
	s := add(t, leech, swarm.AddOptions{Torrent: tor, Background: true})
	waitDone(t, s)
	wantFile(t, s.Path(), b)
	if st := s.Stats(); st.FromPeers != int64(len(b)) {
		t.Errorf("%d bytes from the peer that the tracker named, want %d", st.FromPeers, len(b))
	}
	if up, _ := seed.Snapshot(tor.InfoHash); up.Stats().Uploaded < int64(len(b)) {
		t.Errorf("the seed uploaded %d bytes", up.Stats().Uploaded)
	}
}

func TestCheckTracker(t *testing.T) {
	for address, want := range map[string]bool{
		"http://tracker.example/announce": true, "https://tracker.example:8443/x": true, "udp://tracker.example:6969": true,
		"udp://tracker.example": false, "wss://tracker.example": false, "tracker.example:80": false, "http://": false, "": false, "%": false,
	} {
		if err := swarm.CheckTracker(address); (err == nil) != want {
			t.Errorf("CheckTracker(%q) = %v, want it accepted: %t", address, err, want)
		}
	}
}

// Two clients that only know a third learn of each other from it (BEP 11).
func TestPeersAreExchanged(t *testing.T) {
	b, tor := content(t, "data.zst", 40*testPiece, testPiece)
	hub := newClient(t, swarm.Fast(swarm.Config{DownloadLimit: 32 << 10})) // it will not have the data in time
	middle := add(t, hub, swarm.AddOptions{Torrent: tor, Background: true})
	dir := t.TempDir()
	download(t, dir, b, tor)
	seed := newClient(t, swarm.Fast(swarm.Config{SeedPeers: []string{hub.Addr().String()}}))
	add(t, seed, swarm.AddOptions{Torrent: tor, Dir: dir})
	eventually(t, "the seed is connected", func() bool { return middle.Stats().Seeds == 1 })
	leech := newClient(t, swarm.Fast(swarm.Config{SeedPeers: []string{hub.Addr().String()}}))
	s := add(t, leech, swarm.AddOptions{Torrent: tor, Background: true})
	waitDone(t, s)
	wantFile(t, s.Path(), b)
}

// A client that was stopped in the middle, and has lost all ways to find peers but its own memory, gets the rest from the peer that
// gave it the first part. It does so whether it or the peer opened the connection.
func TestPeersAreRememberedAcrossRestarts(t *testing.T) {
	b, tor := content(t, "data.zst", 10*testPiece, testPiece)
	for _, dialled := range []bool{true, false} {
		t.Run(fmt.Sprintf("dialled %t", dialled), func(t *testing.T) {
			seed := newSeed(t, b, tor)
			up, _ := seed.Snapshot(tor.InfoHash)
			var config swarm.Config
			if dialled {
				config.SeedPeers = []string{seed.Addr().String()}
			}
			first, err := startClient(t, swarm.Fast(config))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			s := add(t, first, swarm.AddOptions{Torrent: tor, Dir: dir})
			if !dialled {
				up.AddPeers(first.Addr().String())
			}
			if err := s.WaitPiece(within(t, patient), 3); err != nil {
				t.Fatal(err)
			}
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}

			again := newClient(t, swarm.Fast(swarm.Config{}))
			s = add(t, again, swarm.AddOptions{Torrent: tor, Dir: dir, Background: true})
			waitDone(t, s)
			wantFile(t, s.Path(), b)
			if st := s.Stats(); st.FromPeers == 0 || st.FromDisk == 0 {
				t.Errorf("%d bytes from peers, %d from disk; want both", st.FromPeers, st.FromDisk)
			}
			if err := s.Remove(true); err != nil {
				t.Fatal(err)
			}
			if left, err := os.ReadDir(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Remove left %v, %v", left, err)
			}
		})
	}
}

// A seed, too, remembers whom it gave data to; and a damaged file is replaced.
func TestSeedsRememberPeers(t *testing.T) {
	b, tor := content(t, "data.zst", 10*testPiece, testPiece)
	dir := t.TempDir()
	download(t, dir, b, tor)
	path := filepath.Join(dir, "."+tor.InfoHash.String()+".peers")
	if err := os.WriteFile(path, []byte("<html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	seed := newClient(t, swarm.Fast(swarm.Config{}))
	up := add(t, seed, swarm.AddOptions{Torrent: tor, Dir: dir})
	leech := newClient(t, swarm.Fast(swarm.Config{}))
	s := add(t, leech, swarm.AddOptions{Torrent: tor}) // stays incomplete, so that both want the connection
	up.AddPeers(leech.Addr().String())
	if err := s.WaitPiece(within(t, patient), 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the leech is written down", func() bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.HasSuffix(string(text), " "+leech.Addr().String()+"\n")
	})
}
