package swarm_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"snapswarm/common/needs"
	"snapswarm/common/swarm"
)

// A disk that fails pauses everything, says so, and loses nothing.
func TestFullDiskPausesAndResumes(t *testing.T) {
	b, tor := content(t, "data.zst", 48*testPiece, testPiece)
	seed := newSeed(t, b, tor)
	for name, tc := range map[string]struct {
		peers   []string
		origins []string
		err     error
		full    bool
	}{
		"full, from peers":        {peers: []string{seed.Addr().String()}, err: syscall.ENOSPC, full: true},
		"full, from an origin":    {origins: []string{newOrigin(t, b).URL}, err: syscall.ENOSPC, full: true},
		"quota, from an origin":   {origins: []string{newOrigin(t, b).URL}, err: syscall.EDQUOT, full: true},
		"broken, from peers":      {peers: []string{seed.Addr().String()}, err: syscall.EIO},
		"short write without end": {origins: []string{newOrigin(t, b).URL}, err: io.ErrShortWrite},
	} {
		t.Run(name, func(t *testing.T) {
			var disk swarm.Disk
			disk.Fail(tc.err)
			c := newClient(t, disk.On(swarm.Fast(swarm.Config{HTTP: client(t)})))
			s := add(t, c, swarm.AddOptions{Torrent: tor, Peers: tc.peers, Origins: tc.origins, Background: true})
			eventually(t, "disk error", func() bool { return s.Err() != nil })
			if err := s.Stats().Err; !errors.Is(err, swarm.ErrDisk) || errors.Is(err, swarm.ErrDiskFull) != tc.full || !errors.Is(err, tc.err) {
				t.Errorf("Err = %v, want ErrDisk around %v, full %v", err, tc.err, tc.full)
			}
			if err := s.WaitPiece(within(t, patient), 7); !errors.Is(err, swarm.ErrDisk) {
				t.Errorf("WaitPiece on a failing disk = %v, want ErrDisk", err)
			}
			if n, _ := s.Completed(); n != 0 {
				t.Errorf("%d pieces present though none could be written", n)
			}
			disk.Fail(nil)
			waitDone(t, s)
			wantFile(t, s.Path(), b)
			if err := s.Err(); err != nil {
				t.Errorf("Err after recovery = %v", err)
			}
			if bad := c.BadPeers(); len(bad) != 0 {
				t.Errorf("peers were banned for our disk: %v", bad)
			}
		})
	}
}

// The same on a real file system that is really full.
func TestRealFullDisk(t *testing.T) {
	dir := needs.SmallDisk(t, "16m")
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 14<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	b, tor := content(t, "data.zst", 64*testPiece, testPiece)
	o := newOrigin(t, b)
	c, err := startClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
	if err != nil {
		t.Fatal(err)
	}
	s := add(t, c, swarm.AddOptions{
		Torrent: tor, Dir: filepath.Join(dir, "daily"), Origins: []string{o.URL}, Background: true,
	})
	eventually(t, "disk full", func() bool { return errors.Is(s.Err(), swarm.ErrDiskFull) })
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	waitDone(t, s)
	wantFile(t, s.Path(), b)
	if st := s.Stats(); st.ReceivedOrigin != int64(len(b)) {
		t.Errorf("%d bytes fetched, want each of %d once", st.ReceivedOrigin, len(b))
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// After a failed fsync the next one may report success for bytes that were lost, so the pieces are fetched again.
func TestFailedFsyncCostsThePiecesItWasFor(t *testing.T) {
	b, tor := content(t, "data.zst", 20*testPiece, testPiece)
	o := newOrigin(t, b)
	var disk swarm.Disk
	c := newClient(t, disk.On(swarm.Fast(swarm.Config{HTTP: client(t)})))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}})
	for i := range 5 {
		if err := s.WaitPiece(within(t, patient), i); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	disk.FailSync(syscall.EIO)
	var err error
	for i := 5; err == nil; i++ { // whoever syncs next, the timer or this test, gets the error
		if err = s.WaitPiece(within(t, patient), i); err == nil {
			err = s.Sync()
		}
		if s.Err() != nil {
			break
		}
	}
	s.Start()
	waitDone(t, s)
	wantFile(t, s.Path(), b)
	if st := s.Stats(); st.ReceivedOrigin <= int64(len(b)) {
		t.Errorf("%d bytes fetched: nothing was fetched again after a failed fsync", st.ReceivedOrigin)
	}
}
