package swarm_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

func TestMain(m *testing.M) {
	if args := os.Getenv(leechEnv); args != "" {
		if err := leechMain(args); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const (
	testPiece = 64 << 10
	patient   = 30 * time.Second // nothing here takes nearly as long
)

// content is n pseudo-random bytes and their torrent.
func content(t testing.TB, name string, n int, pieceLength int64) ([]byte, *snapshot.Torrent) {
	t.Helper()
	b := make([]byte, n)
	var seed [32]byte
	copy(seed[:], name)
	_, _ = rand.NewChaCha8(seed).Read(b)
	return b, torrentOf(t, name, b, pieceLength)
}

func torrentOf(t testing.TB, name string, b []byte, pieceLength int64) *snapshot.Torrent {
	t.Helper()
	pieces, err := snapshot.HashPieces(t.Context(), bytes.NewReader(b), int64(len(b)), pieceLength)
	if err != nil {
		t.Fatal(err)
	}
	tor, err := snapshot.NewTorrent(snapshot.Content{
		Name: name, Length: int64(len(b)), PieceLength: pieceLength, Pieces: pieces,
	})
	if err != nil {
		t.Fatal(err)
	}
	return tor
}

// newClient starts a client on loopback that is closed with the test.
func newClient(t testing.TB, config swarm.Config) *swarm.Client {
	t.Helper()
	t.TempDir() // the first one decides when all are deleted: after the client is closed
	c, err := startClient(t, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close client: %v", err)
		}
	})
	return c
}

func startClient(t testing.TB, config swarm.Config) (*swarm.Client, error) {
	if config.Listeners == nil && config.ListenAddr == "" {
		config.ListenAddr = "127.0.0.1:0"
	}
	config.AllowPrivate = true
	if config.Log == nil {
		config.Log = testLog(t)
	}
	return swarm.New(t.Context(), config)
}

// testLog shows what an operator would see.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func add(t testing.TB, c *swarm.Client, o swarm.AddOptions) *swarm.Snapshot {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := c.Add(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newSeed starts a client that has b.
func newSeed(t testing.TB, b []byte, tor *snapshot.Torrent) *swarm.Client {
	t.Helper()
	c := newClient(t, swarm.Fast(swarm.Config{}))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, tor.Name), b, 0o600); err != nil {
		t.Fatal(err)
	}
	add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Have: true})
	return c
}

func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func waitDone(t testing.TB, s *swarm.Snapshot) {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(patient):
		t.Fatalf("snapshot is not complete: %+v", s.Stats())
	}
}

// eventually polls cond, because what it waits for happens elsewhere.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patient); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
	}
}

func wantFile(t testing.TB, path string, want []byte) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from what was published", path)
	}
}
