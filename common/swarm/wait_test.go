package swarm_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"snapswarm/common/swarm"
)

// Without background fetching, exactly what is read is fetched, and once.
func TestReadersGetPiecesOnDemand(t *testing.T) {
	b, tor := content(t, "data.zst", 60*testPiece+11, testPiece)
	o := newOrigin(t, b)
	c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}})
	var wg sync.WaitGroup
	for range 16 { // all the same range, at once
		wg.Go(func() {
			got := make([]byte, 3*testPiece)
			if n, err := s.ReadAt(within(t, patient), got, 10*testPiece-100); n != len(got) || err != nil {
				t.Errorf("ReadAt = %d, %v", n, err)
			}
			if !bytes.Equal(got, b[10*testPiece-100:][:len(got)]) {
				t.Error("ReadAt returned other bytes")
			}
		})
	}
	wg.Wait()
	if st := s.Stats(); st.Pieces != 4 || st.ReceivedOrigin != 4*testPiece {
		t.Errorf("%d pieces and %d bytes fetched, want 4 and %d", st.Pieces, st.ReceivedOrigin, 4*testPiece)
	}
	got := make([]byte, 100)
	if n, err := s.ReadAt(within(t, patient), got, tor.Length-11); n != 11 || !errors.Is(err, io.EOF) {
		t.Errorf("ReadAt across the end = %d, %v, want 11, EOF", n, err)
	}
	if err := s.WaitPiece(t.Context(), 61); err == nil {
		t.Error("WaitPiece of a piece behind the end succeeded")
	}
	f, err := s.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.ReadAt(got, 10*testPiece); err != nil || !bytes.Equal(got, b[10*testPiece:][:100]) {
		t.Errorf("File: %v or other bytes", err)
	}
}

// After Stop nothing comes but what a reader waits for; Start goes on.
func TestStopFetchesNoMore(t *testing.T) {
	b, tor := content(t, "data.zst", 200*testPiece, testPiece)
	o := newOrigin(t, b)
	c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t), DownloadLimit: 20 * testPiece}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}, Background: true})
	if err := s.WaitPiece(within(t, patient), 0); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	settled, still := s.Stats().ReceivedOrigin, 0
	for deadline := time.Now().Add(patient); still < 20; still++ {
		if time.Now().After(deadline) {
			t.Fatal("bytes go on arriving after Stop")
		}
		time.Sleep(50 * time.Millisecond)
		if n := s.Stats().ReceivedOrigin; n != settled {
			settled, still = n, 0
		}
	}
	if s.Stats().Pieces == tor.NumPieces() {
		t.Fatal("everything had arrived before Stop: the test shows nothing")
	}
	missing := 0
	for s.Have(missing) {
		missing++
	}
	if err := s.WaitPiece(within(t, patient), missing); err != nil {
		t.Errorf("WaitPiece after Stop = %v", err)
	}
	before := s.Stats().Pieces
	s.Start()
	for deadline := time.Now().Add(patient); s.Stats().Pieces == before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing arrives after Start")
		}
	}
}

func TestWaitPieceFromPeers(t *testing.T) {
	b, tor := content(t, "data.zst", 60*testPiece, testPiece)
	seed := newSeed(t, b, tor)
	c := newClient(t, swarm.Fast(swarm.Config{SeedPeers: []string{seed.Addr().String()}}))
	s := add(t, c, swarm.AddOptions{Torrent: tor})
	for _, i := range []int{59, 0, 31} {
		if err := s.WaitPiece(within(t, patient), i); err != nil {
			t.Fatal(err)
		}
	}
	if st := s.Stats(); st.Pieces != 3 {
		t.Errorf("%d pieces present, want the 3 that were waited for", st.Pieces)
	}
}

func TestWaitPieceEnds(t *testing.T) {
	_, tor := content(t, "data.zst", 8*testPiece, testPiece)
	c := newClient(t, swarm.Fast(swarm.Config{}))
	s := add(t, c, swarm.AddOptions{Torrent: tor})
	if err := s.WaitPiece(within(t, 20*time.Millisecond), 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("WaitPiece without sources = %v, want DeadlineExceeded", err)
	}
	ended := make(chan error)
	go func() { ended <- s.WaitPiece(t.Context(), 1) }()
	if err := s.Remove(true); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, swarm.ErrClosed) {
		t.Errorf("WaitPiece while the snapshot is removed = %v, want ErrClosed", err)
	}
	if err := s.WaitPiece(t.Context(), 2); !errors.Is(err, swarm.ErrClosed) {
		t.Errorf("WaitPiece after Remove = %v, want ErrClosed", err)
	}
	s.Want(0, 3, swarm.Soon)() // must not hang
	if st := s.Stats(); st.Pieces != 0 {
		t.Errorf("stats after Remove = %+v", st)
	}
}

func TestWantFetchesAheadUntilReleased(t *testing.T) {
	b, tor := content(t, "data.zst", 60*testPiece, testPiece)
	o := newOrigin(t, b)
	c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}})
	release := s.Want(20, 25, swarm.Soon)
	eventually(t, "wanted pieces", func() bool { n, _ := s.Completed(); return n == 6 })
	for i := 20; i <= 25; i++ {
		if !s.Have(i) {
			t.Errorf("wanted piece %d is missing", i)
		}
	}
	release()
	release()
	s.Want(40, 1000, swarm.Later)
	eventually(t, "pieces to the end", func() bool { n, _ := s.Completed(); return n == 26 })
}

// The only peer has the piece and is very slow: the origin is asked after a moment.
func TestReaderIsHedgedByTheOrigin(t *testing.T) {
	b, tor := content(t, "data.zst", 60*testPiece, testPiece)
	seed := newClient(t, swarm.Fast(swarm.Config{UploadLimit: 1 << 10}))
	dir := t.TempDir()
	download(t, dir, b, tor)
	add(t, seed, swarm.AddOptions{Torrent: tor, Dir: dir})
	o := newOrigin(t, b)
	c := newClient(t, swarm.Fast(swarm.Config{
		HTTP: client(t), SeedPeers: []string{seed.Addr().String()}, OriginPatience: time.Hour,
	}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}, Background: true})
	eventually(t, "the seed's bitfield", func() bool { return s.Stats().Seeds == 1 })
	start := time.Now()
	if err := s.WaitPiece(within(t, patient), 59); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("waited %v for a piece that the origin had", d)
	}
}

// A peer says that it has everything and sends nothing: after the patience, the origin gives it all.
func TestPatienceEnds(t *testing.T) {
	b, tor := content(t, "data.zst", 30*testPiece, testPiece)
	dir := t.TempDir()
	download(t, dir, b, tor)
	// One byte per second for everybody: as good as nothing.
	seed := newClient(t, swarm.Fast(swarm.Config{UploadLimit: 1}))
	add(t, seed, swarm.AddOptions{Torrent: tor, Dir: dir})
	o := newOrigin(t, b)
	c := newClient(t, swarm.Fast(swarm.Config{
		HTTP: client(t), SeedPeers: []string{seed.Addr().String()}, OriginPatience: 700 * time.Millisecond,
	}))
	start := time.Now()
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}, Background: true})
	waitDone(t, s)
	wantFile(t, s.Path(), b)
	// Once, not once for every few pieces.
	if d := time.Since(start); d > 4*time.Second {
		t.Errorf("took %v with a patience of 0.7 s", d)
	}
}

// 32 readers at random places of a cold file with a slow origin and a seed.
func TestManyReaders(t *testing.T) {
	b, tor := content(t, "data.zst", 100*testPiece, testPiece)
	seed := newSeed(t, b, tor)
	o := newOrigin(t, b, limited(16<<20, 64<<10))
	c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t), SeedPeers: []string{seed.Addr().String()}}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{o.URL}})
	var wg sync.WaitGroup
	for n := range 32 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(n), 1))
			for range 5 {
				off := rng.Int64N(tor.Length - 1000)
				got := make([]byte, 1000+rng.IntN(2*testPiece))
				got = got[:min(int64(len(got)), tor.Length-off)]
				first := int(off / testPiece)
				release := s.Want(first, first+4, swarm.Soon)
				if _, err := s.ReadAt(within(t, patient), got, off); err != nil {
					t.Error(err)
				}
				release()
				if !bytes.Equal(got, b[off:][:len(got)]) {
					t.Error("other bytes")
				}
			}
		})
	}
	wg.Wait()
}
