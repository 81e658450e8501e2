package swarm_test

import (
	"bytes"
	"testing"

	"snapswarm/common/swarm"
)

// Whoever opens the file and waits for a piece reads what was published, whatever somebody did to the file of a running process.
func TestForeignChangeIsNoticedAtTheNextOpen(t *testing.T) {
	const pieces = 20
	b, tor := content(t, "data.zst", pieces*testPiece, testPiece)
	for name, tamper := range map[string]func(t *testing.T, path string){
		"a byte changed": func(t *testing.T, path string) { writeAt(t, path, []byte{^b[5*testPiece]}, 5*testPiece) },
		"cut short":      func(t *testing.T, path string) { truncate(t, path, 5*testPiece+1) },
		"longer":         func(t *testing.T, path string) { truncate(t, path, pieces*testPiece+7) },
		"all zeros":      func(t *testing.T, path string) { writeAt(t, path, make([]byte, pieces*testPiece), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, swarm.Config{HTTP: client(t)}) // not Fast: nothing but the opening may notice
			s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{newOrigin(t, b).URL}, Background: true})
			waitDone(t, s)
			tamper(t, s.Path())
			f, err := s.File()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got := make([]byte, len(b))
			for i := range pieces {
				if err := s.WaitPiece(within(t, patient), i); err != nil {
					t.Fatal(err)
				}
				if _, err := f.ReadAt(got[i*testPiece:(i+1)*testPiece], int64(i)*testPiece); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(got, b) {
				t.Error("what was read differs from what was published")
			}
			if info, err := f.Stat(); err != nil || info.Size() != tor.Length {
				t.Errorf("the file has %d bytes, %v, want %d", info.Size(), err, tor.Length)
			}
		})
	}
}

// A restart must not trust what somebody changed while the process was still writing.
func TestForeignChangeIsNotRecorded(t *testing.T) {
	b, tor := content(t, "data.zst", 20*testPiece, testPiece)
	dir, o := t.TempDir(), newOrigin(t, b)
	c, err := startClient(t, swarm.Config{HTTP: client(t)})
	if err != nil {
		t.Fatal(err)
	}
	s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Origins: []string{o.URL}})
	for _, i := range []int{3, 7} { // the write of 7 comes after the change of 3
		if err := s.WaitPiece(within(t, patient), i); err != nil {
			t.Fatal(err)
		}
		writeAt(t, s.Path(), flipped(b[:10]), 3*testPiece)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
	s = add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Origins: []string{o.URL}, Background: true})
	waitDone(t, s)
	wantFile(t, s.Path(), b)
}

// Own writes are no change: nothing is hashed again, however often the file is opened meanwhile.
func TestOwnWritesAreNoForeignChange(t *testing.T) {
	b, tor := content(t, "data.zst", 200*testPiece, testPiece)
	o := newOrigin(t, b)
	c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t), SeedPeers: []string{newSeed(t, b, tor).Addr().String()}}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}, Background: true})
	eventually(t, "complete while it is opened", func() bool {
		f, err := s.File()
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		n, _ := s.Completed()
		return n == tor.NumPieces()
	})
	if st := s.Stats(); st.FromDisk != 0 {
		t.Errorf("stats = %+v, want nothing hashed again", st)
	}
	wantFile(t, s.Path(), b)
}
