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

// After a failed fsync the next one may report success for bytes that were lost, so the pieces are fetched again: those that were
// not on disk before, and no others.
func TestFailedFsyncCostsThePiecesItWasFor(t *testing.T) {
	b, tor := content(t, "data.zst", 20*testPiece, testPiece)
	o := newOrigin(t, b)
	var disk swarm.Disk
	c := newClient(t, swarm.WithoutTimers(disk.On(swarm.Fast(swarm.Config{HTTP: client(t)}))))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}})
	wait := func(pieces ...int) {
		for _, i := range pieces {
			if err := s.WaitPiece(within(t, patient), i); err != nil {
				t.Fatal(err)
			}
		}
	}
	wait(0, 1, 2, 3, 4)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	wait(5, 6)
	disk.FailSync(syscall.EIO)
	if err := s.Sync(); !errors.Is(err, syscall.EIO) || !errors.Is(err, swarm.ErrDisk) {
		t.Errorf("Sync = %v, want ErrDisk around EIO", err)
	}
	wait(5, 6) // they come again by themselves
	if got, want := s.Stats().ReceivedOrigin, int64(9*testPiece); got != want {
		t.Errorf("%d bytes fetched, want %d: five pieces once and two twice", got, want)
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if have, _, err := swarm.Recorded(recordOf(t, s.Path()), tor.NumPieces()); err != nil || len(have) != 7 {
		t.Errorf("the record vouches for %v, %v, want 7 pieces", have, err)
	}
	s.Start()
	waitDone(t, s)
	wantFile(t, s.Path(), b)
}

// The same when nobody asks for the fsync: the state is shown, and the disk is tried again.
func TestFailedFsyncOfTheTimerPauses(t *testing.T) {
	b, tor := content(t, "data.zst", 20*testPiece, testPiece)
	var disk swarm.Disk
	disk.FailSync(syscall.EIO)
	var lines logLines
	c := newClient(t, disk.On(swarm.Fast(swarm.Config{HTTP: client(t), Log: lines.log()})))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{newOrigin(t, b).URL}, Background: true})
	eventually(t, "it says that it pauses", func() bool { return len(lines.with("fetching pauses")) == 1 })
	eventually(t, "all is here", func() bool { return s.Err() == nil && s.Stats().Pieces == tor.NumPieces() })
	wantFile(t, s.Path(), b)
}

// What a record says is true of the file as it was during the fsync, whatever is found out meanwhile.
func TestRecordKnowsWhatHappenedDuringTheFsync(t *testing.T) {
	b, tor := content(t, "data.zst", 20*testPiece, testPiece)
	for name, tc := range map[string]struct {
		happens func(t *testing.T, c *swarm.Client, s *swarm.Snapshot)
		has     func(n int) bool
	}{
		"nothing": {func(*testing.T, *swarm.Client, *swarm.Snapshot) {}, func(n int) bool { return n == 5 }},
		// A reader's opening notices it, and from then on it is no foreign change any more.
		"somebody changes the file": {func(t *testing.T, _ *swarm.Client, s *swarm.Snapshot) {
			writeAt(t, s.Path(), flipped(b[:10]), 3*testPiece)
			f, err := s.File()
			if err != nil {
				t.Error(err)
				return
			}
			_ = f.Close()
		}, func(n int) bool { return n == 0 }},
		"a piece is found to be rotten": {func(t *testing.T, _ *swarm.Client, s *swarm.Snapshot) {
			rot(t, s.Path(), flipped(b[:10]), 3*testPiece)
			if bad, err := s.VerifyAll(t.Context()); bad != 1 || err != nil {
				t.Errorf("VerifyAll = %d, %v, want 1, nil", bad, err)
			}
		}, func(n int) bool { return n == 4 }},
	} {
		t.Run(name, func(t *testing.T) {
			var disk swarm.Disk
			c := newClient(t, swarm.WithoutTimers(disk.On(swarm.Fast(swarm.Config{HTTP: client(t)}))))
			s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{newOrigin(t, b).URL}})
			for i := range 5 {
				if err := s.WaitPiece(within(t, patient), i); err != nil {
					t.Fatal(err)
				}
			}
			disk.DuringSync(func() { tc.happens(t, c, s) })
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
			have, _, err := swarm.Recorded(recordOf(t, s.Path()), tor.NumPieces())
			if err != nil || !tc.has(len(have)) {
				t.Errorf("the record vouches for %v, %v", have, err)
			}
		})
	}
}
