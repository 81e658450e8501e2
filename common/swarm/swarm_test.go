package swarm_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

func TestLeechFromSeedByTorrent(t *testing.T) {
	b, tor := content(t, "data.zst", 40*testPiece+123, testPiece)
	seed := newSeed(t, b, tor)
	leech := newClient(t, swarm.Fast(swarm.Config{SeedPeers: []string{seed.Addr().String()}}))
	s := add(t, leech, swarm.AddOptions{Torrent: tor, Background: true})
	waitDone(t, s)
	wantFile(t, s.Path(), b)
	if st := s.Stats(); st.FromPeers != int64(len(b)) || st.FromOrigin != 0 || st.FromDisk != 0 || st.Pieces != 41 {
		t.Errorf("stats = %+v, want all %d bytes from peers", st, len(b))
	}
	if n, size := s.Completed(); n != 41 || size != int64(len(b)) {
		t.Errorf("Completed() = %d, %d, want 41, %d", n, size, len(b))
	}
	up, _ := seed.Snapshot(tor.InfoHash)
	if got := up.Stats().Uploaded; got < int64(len(b)) {
		t.Errorf("seed uploaded %d bytes, want at least %d", got, len(b))
	}
}

func TestMetadataFromPeers(t *testing.T) {
	b, tor := content(t, "data.zst", 10*testPiece, testPiece)
	seed := newSeed(t, b, tor)
	sum := sha256.Sum256(tor.Info)
	leech := newClient(t, swarm.Fast(swarm.Config{}))
	s, err := leech.Add(within(t, patient), swarm.AddOptions{
		InfoHash: tor.InfoHash, InfoSHA256: &sum, Dir: t.TempDir(), Background: true, Peers: []string{seed.Addr().String()},
	})
	if err != nil {
		t.Fatal(err)
	}
	waitDone(t, s)
	wantFile(t, s.Path(), b)
	if got := s.Torrent(); got.Name != tor.Name || !bytes.Equal(got.Info, tor.Info) {
		t.Errorf("torrent from peers = %q, want %q", got.Name, tor.Name)
	}
}

func TestMetadataOfAnotherSHA256IsRefused(t *testing.T) {
	b, tor := content(t, "data.zst", 3*testPiece, testPiece)
	seed := newSeed(t, b, tor)
	leech := newClient(t, swarm.Fast(swarm.Config{SeedPeers: []string{seed.Addr().String()}}))
	for range 2 { // the second time shows that nothing stayed behind
		_, err := leech.Add(within(t, patient), swarm.AddOptions{
			InfoHash: tor.InfoHash, InfoSHA256: &[32]byte{1}, Dir: t.TempDir(),
		})
		if !errors.Is(err, swarm.ErrWrongInfo) {
			t.Fatalf("Add = %v, want ErrWrongInfo", err)
		}
	}
}

func TestMetadataAloneLeavesNothingBehind(t *testing.T) {
	b, tor := content(t, "data.zst", 10*testPiece, testPiece)
	seed := newSeed(t, b, tor)
	c := newClient(t, swarm.Fast(swarm.Config{SeedPeers: []string{seed.Addr().String()}}))
	got, err := c.Metadata(within(t, patient), swarm.AddOptions{InfoHash: tor.InfoHash, InfoSHA256: &tor.InfoSHA256})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Info, tor.Info) || len(c.Snapshots()) != 0 {
		t.Errorf("metadata = %q, %d snapshots, want %q and none", got.Name, len(c.Snapshots()), tor.Name)
	}
	s := add(t, c, swarm.AddOptions{Torrent: got, Background: true})
	waitDone(t, s)
	if _, err := c.Metadata(t.Context(), swarm.AddOptions{InfoHash: tor.InfoHash}); !errors.Is(err, swarm.ErrAdded) {
		t.Errorf("Metadata of an added snapshot = %v, want ErrAdded", err)
	}
}

func TestAddEndsWithItsContext(t *testing.T) {
	c := newClient(t, swarm.Fast(swarm.Config{}))
	_, err := c.Add(within(t, 50*time.Millisecond), swarm.AddOptions{InfoHash: snapshot.InfoHash{1}, Dir: t.TempDir()})
	if err == nil {
		t.Fatal("Add without peers succeeded")
	}
	if n := len(c.Snapshots()); n != 0 {
		t.Errorf("%d snapshots after a failed Add", n)
	}
}

func TestAddTwiceIsAnError(t *testing.T) {
	_, tor := content(t, "data.zst", 3*testPiece, testPiece)
	c := newClient(t, swarm.Fast(swarm.Config{}))
	s := add(t, c, swarm.AddOptions{Torrent: tor})
	if _, err := c.Add(t.Context(), swarm.AddOptions{Torrent: tor, Dir: t.TempDir()}); !errors.Is(err, swarm.ErrAdded) {
		t.Errorf("second Add = %v, want ErrAdded", err)
	}
	if err := s.Remove(true); err != nil {
		t.Fatal(err)
	}
	add(t, c, swarm.AddOptions{Torrent: tor})
}

func TestSeveralSnapshotsAndRemove(t *testing.T) {
	leech := newClient(t, swarm.Fast(swarm.Config{}))
	var all []*swarm.Snapshot
	for _, name := range []string{"a.zst", "b.zst", "c.zst"} {
		b, tor := content(t, name, 20*testPiece+1, testPiece)
		seed := newSeed(t, b, tor)
		all = append(all, add(t, leech, swarm.AddOptions{Torrent: tor, Background: true, Peers: []string{seed.Addr().String()}}))
	}
	for _, s := range all {
		waitDone(t, s)
	}
	for _, s := range all {
		if err := s.Remove(true); err != nil {
			t.Error(err)
		}
	}
	if n := len(leech.Snapshots()); n != 0 {
		t.Errorf("%d snapshots are left", n)
	}
}
