package serve_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/gateway/serve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	pieceLength = 256 << 10
	// fileSize makes four pieces, the last one short.
	fileSize = 1_000_000
)

// now is the clock of all tests here.
var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// shelf is a library in memory.
type shelf struct {
	channels  []snapshot.Channel
	records   map[string]pointer.Record
	mu        sync.Mutex
	snapshots map[string][]*fakeSnapshot // guarded by mu; newest first
	trouble   map[snapshot.Version]error // never changes
}

type fakeSnapshot struct {
	version snapshot.Version
	torrent *snapshot.Torrent
	content []byte
	path    string

	mu      sync.Mutex
	have    []bool          // guarded by mu, as all below
	arrived []chan struct{} // closed when the piece is there
	waited  []int
	wanted  []int // how many want each piece
	bytes   int64
	failure error
}

func (s *shelf) Channels() []snapshot.Channel { return s.channels }

func (s *shelf) Newest(salt string) (pointer.Record, bool) {
	rec, ok := s.records[salt]
	return rec, ok
}

func (s *shelf) Latest(salt string) (snapshot.Version, bool) {
	versions := s.Versions(salt)
	if len(versions) == 0 {
		return "", false
	}
	return versions[0], true
}

func (s *shelf) Versions(salt string) []snapshot.Version {
	s.mu.Lock()
	defer s.mu.Unlock()
	var versions []snapshot.Version
	for _, snap := range s.snapshots[salt] {
		versions = append(versions, snap.version)
	}
	return versions
}

func (s *shelf) Open(salt string, v snapshot.Version) (serve.Snapshot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, snap := range s.snapshots[salt] {
		if snap.version == v {
			return snap, true
		}
	}
	return nil, false
}

func (s *shelf) Trouble(_ string, v snapshot.Version) error { return s.trouble[v] }

func (s *shelf) add(salt string, snap *fakeSnapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshots[salt] = slices.Insert(s.snapshots[salt], 0, snap)
}

func (f *fakeSnapshot) Torrent() *snapshot.Torrent { return f.torrent }
func (f *fakeSnapshot) File() (*os.File, error)    { return os.Open(f.path) }

func (f *fakeSnapshot) Have(i int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.have[i]
}

func (f *fakeSnapshot) WaitPiece(ctx context.Context, i int) error {
	f.mu.Lock()
	f.waited = append(f.waited, i)
	arrived, failure := f.arrived[i], f.failure
	f.mu.Unlock()
	if failure != nil {
		return failure
	}
	select {
	case <-arrived:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *fakeSnapshot) Want(first, last int) (release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := first; i <= last; i++ {
		f.wanted[i]++
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for i := first; i <= last; i++ {
			f.wanted[i]--
		}
	}
}

// want are the pieces that somebody wants ahead.
func (f *fakeSnapshot) want() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	var pieces []int
	for i, n := range f.wanted {
		if n != 0 {
			pieces = append(pieces, i)
		}
	}
	return pieces
}

func (f *fakeSnapshot) Completed() (pieces int, n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, have := range f.have {
		if have {
			pieces++
			n += f.torrent.PieceSize(i)
		}
	}
	return pieces, n
}

func (f *fakeSnapshot) Received() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bytes
}

// trickle counts bytes as arrived that make no piece yet.
func (f *fakeSnapshot) trickle(n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bytes += n
}

// asked reports whether anybody has waited for the piece.
func (f *fakeSnapshot) asked(i int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.waited, i)
}

// deliver writes pieces into the file and wakes who waits for them.
func (f *fakeSnapshot) deliver(t *testing.T, pieces ...int) {
	t.Helper()
	file, err := os.OpenFile(f.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, i := range pieces {
		off := int64(i) * f.torrent.PieceLength
		if _, err := file.WriteAt(f.content[off:off+f.torrent.PieceSize(i)], off); err != nil {
			t.Fatal(err)
		}
		f.mu.Lock()
		f.have[i] = true
		f.bytes += f.torrent.PieceSize(i)
		close(f.arrived[i])
		f.mu.Unlock()
	}
}

// content is the same bytes for the same seed.
func content(seed uint64, size int) []byte {
	random := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, size+8)
	for i := 0; i < size; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], random.Uint64())
	}
	return b[:size]
}

// describe is what a publisher signs about content.
func describe(v snapshot.Version, content []byte) *snapshot.Description {
	return &snapshot.Description{
		Version: v, Created: v.Time().Add(-time.Hour), Height: v.Height(), Kind: snapshot.KindFile, SHA256: sha256.Sum256(content),
		RawSize: 3 * int64(len(content)), RawSHA256: sha256.Sum256([]byte("raw")), RawName: "data.ldb",
		Codec:  snapshot.Codec{Format: snapshot.FormatZstd, Chunk: 4 << 20, Encoder: "test", Level: "3"},
		Retain: 7 * 24 * time.Hour,
	}
}

// newSnapshot makes a snapshot of which nothing is here yet. A nil description makes one of a foreign publisher.
func newSnapshot(t *testing.T, v snapshot.Version, name string, content []byte, d *snapshot.Description) *fakeSnapshot {
	t.Helper()
	pieces, err := snapshot.HashPieces(t.Context(), bytes.NewReader(content), int64(len(content)), pieceLength)
	if err != nil {
		t.Fatal(err)
	}
	torrent, err := snapshot.NewTorrent(snapshot.Content{
		Name: name, Length: int64(len(content)), PieceLength: pieceLength, Pieces: pieces,
		Description: d, Origins: []string{"https://bucket.test/" + string(v) + "/data"},
	})
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeSnapshot{
		version: v, torrent: torrent, content: content, path: filepath.Join(t.TempDir(), "file"),
		have: make([]bool, torrent.NumPieces()), wanted: make([]int, torrent.NumPieces()),
	}
	for range torrent.NumPieces() {
		f.arrived = append(f.arrived, make(chan struct{}))
	}
	file, err := os.Create(f.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Truncate(int64(len(content))), file.Close()); err != nil {
		t.Fatal(err)
	}
	return f
}

func newShelf(t *testing.T, salts ...string) *shelf {
	t.Helper()
	s := &shelf{records: make(map[string]pointer.Record), snapshots: make(map[string][]*fakeSnapshot)}
	for _, salt := range salts {
		ch, err := snapshot.NewChannel(testKey().Public().(ed25519.PublicKey), salt)
		if err != nil {
			t.Fatal(err)
		}
		s.channels = append(s.channels, ch)
	}
	return s
}

func testKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
}

// point signs a pointer to the newest snapshot of a channel.
func (s *shelf) point(t *testing.T, salt string, signed, expires time.Time) {
	t.Helper()
	newest := s.snapshots[salt][0]
	rec, err := pointer.Sign(testKey(), salt, signed.UnixMilli(), pointer.Pointer{InfoHash: newest.torrent.InfoHash, Created: newest.version.Time(), Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	s.records[salt] = rec
}

// start serves lib on a loopback port.
func start(t *testing.T, lib serve.Library, cfg serve.Config) (addr string) {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	cfg.Now = func() time.Time { return now }
	h, err := serve.New(lib, cfg)
	if err != nil {
		t.Fatal(err)
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := serve.NewServer(h, cfg.Log)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
		http.DefaultClient.CloseIdleConnections()
	})
	return ln.Addr().String()
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 10 s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
