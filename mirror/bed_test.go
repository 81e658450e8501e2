package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"snapswarm/common/archive"
	"snapswarm/common/bucket"
	"snapswarm/common/daemon"
	"snapswarm/common/peer"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

const (
	salt    = "daily"
	rawName = "data.ldb"
	file    = "data.ldb.zst"
	rawSize = 6<<20 + 321
)

// bed is a publisher on loopback: a bucket behind an HTTP server.
type bed struct {
	t       *testing.T
	key     ed25519.PrivateKey
	channel snapshot.Channel
	dir     string
	url     string
	served  atomic.Int64 // bytes of archives that the server sent
	limit   atomic.Int64 // bytes of archives that it sends at most; it then holds the line
	seq     int64
	age     time.Duration // of what is announced
	size    int           // of the raw data of what is packed
}

// published is one version.
type published struct {
	raw, archive []byte
	torrent      *snapshot.Torrent
	version      snapshot.Version
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t: t, key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), dir: t.TempDir(), seq: time.Now().Add(-time.Minute).UnixMilli(), size: rawSize}
	b.limit.Store(1 << 40)
	var err error
	if b.channel, err = snapshot.NewChannel(b.key.Public().(ed25519.PublicKey), salt); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// ServeHTTP is the bucket.
func (b *bed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, ".zst") {
		w = &meter{w, r.Context(), b}
	}
	http.FileServer(http.Dir(b.dir)).ServeHTTP(w, r)
}

// meter counts what is sent and stops sending at the limit.
type meter struct {
	http.ResponseWriter
	ctx context.Context
	bed *bed
}

func (m *meter) Write(p []byte) (int, error) {
	for m.bed.served.Load() >= m.bed.limit.Load() {
		select {
		case <-m.ctx.Done():
			return 0, m.ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	n, err := m.ResponseWriter.Write(p)
	m.bed.served.Add(int64(n))
	return n, err
}

// pack makes version n of the snapshot.
func (b *bed) pack(n byte) published {
	b.t.Helper()
	p := published{raw: make([]byte, b.size), version: snapshot.NewVersion(time.Date(2026, 11, int(n), 6, 0, 0, 0, time.UTC), 0)}
	_, _ = rand.NewChaCha8([32]byte{n}).Read(p.raw)
	var packed bytes.Buffer
	r, err := archive.Write(b.t.Context(), &packed, archive.ReaderSource(rawName, bytes.NewReader(p.raw)), archive.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	p.archive = packed.Bytes()
	pieces, err := snapshot.HashPieces(b.t.Context(), bytes.NewReader(p.archive), r.Size, snapshot.MinPieceLength)
	if err != nil {
		b.t.Fatal(err)
	}
	p.torrent, err = snapshot.NewTorrent(snapshot.Content{
		Name: file, Length: r.Size, PieceLength: snapshot.MinPieceLength, Pieces: pieces,
		Description: &snapshot.Description{
			Version: p.version, Created: time.Now(), Kind: snapshot.KindFile, SHA256: r.SHA256,
			RawSize: r.RawSize, RawSHA256: r.RawSHA256, RawName: rawName,
			Codec: snapshot.Codec{Format: snapshot.FormatZstd, Chunk: r.Chunk, Encoder: r.Encoder, Level: r.Level},
		},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// announce puts torrent and pointer into the bucket.
func (b *bed) announce(p published, key ed25519.PrivateKey) pointer.Record {
	b.t.Helper()
	b.seq++
	rec, err := pointer.Sign(key, salt, b.seq, pointer.Pointer{
		InfoHash: p.torrent.InfoHash, InfoSHA256: &p.torrent.InfoSHA256, Created: time.Now().Add(-b.age), Expires: time.Now().Add(time.Hour),
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.write(bucket.InfoHashKey(p.torrent.InfoHash), p.torrent.Encode())
	b.write(bucket.PointerKey(salt), rec.Encode())
	return rec
}

// publish is announce with the archive.
func (b *bed) publish(n byte) published {
	b.t.Helper()
	p := b.pack(n)
	b.write(bucket.ArchiveKey(salt, p.version, file), p.archive)
	b.announce(p, b.key)
	return p
}

func (b *bed) write(key string, content []byte) {
	b.t.Helper()
	path := filepath.Join(b.dir, key)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// args are the flags of a mirror of the bed with the data folder dir.
func (b *bed) args(dir string, more ...string) []string {
	return append([]string{
		"--channel", b.channel.String(), "--data-dir", dir, "--bucket-url", b.url, "--dht-bootstrap", "none",
		"--listen-addr", "127.0.0.1:0", "--allow-private",
	}, more...)
}

// mirror runs the command to its end.
func mirror(ctx context.Context, args []string) (code daemon.Exit, stdout, stderr string) {
	var out, text lockedBuffer
	cmd := newCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&text)
	code = daemon.Run(ctx, cmd, &text)
	return code, out.String(), text.String()
}

// lockedBuffer is written by many goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// join makes another process of the swarm, with connections to the given ports.
func (b *bed) join(ports ...int) *peer.Peer {
	b.t.Helper()
	s := peer.Settings{OriginPolicy: swarm.OriginNever}
	s.DataDir, s.ListenAddr, s.AllowPrivate, s.DHTBootstrap = b.t.TempDir(), "127.0.0.1:0", true, daemon.HostPorts{}
	for _, p := range ports {
		s.SeedPeers = append(s.SeedPeers, net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
	}
	p, err := peer.Join(b.t.Context(), s, []snapshot.Channel{b.channel}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := p.Close(); err != nil {
			b.t.Errorf("Close = %v", err)
		}
	})
	return p
}

// seed lets p have a version.
func (b *bed) seed(p *peer.Peer, v published) {
	b.t.Helper()
	path := p.ArchivePath(salt, v.version, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, v.archive, 0o600); err != nil {
		b.t.Fatal(err)
	}
	if _, err := p.Adopt(b.t.Context(), b.channel, v.version, v.torrent); err != nil {
		b.t.Fatal(err)
	}
}

// freePort is one that nobody uses at the moment.
func freePort(t *testing.T) int {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// eventually waits until check has no complaint.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
