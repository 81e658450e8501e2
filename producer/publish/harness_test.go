package publish_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"snapswarm/common/archive"
	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

const salt = "chain"

// bench is a publisher's world: a directory as the bucket, a web server in front of it, a source.
type bench struct {
	t      *testing.T
	cfg    publish.Config
	bucket string // directory
	source string // directory
	store  bucket.Store
	public *bucket.Reader
	clock  *clock
	net    *network

	// read gets an object of the bucket, list names all of them; nil where the bucket is the directory.
	read func(key string) ([]byte, error)
	list func() []string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, bucket: t.TempDir(), source: filepath.Join(t.TempDir(), "ledger"), clock: &clock{now: time.Now()}, net: &network{}}
	var err error
	if b.store, err = bucket.Open(bucket.Config{URL: "file://" + b.bucket}); err != nil {
		t.Fatal(err)
	}
	b.public = b.serve(http.FileServer(http.Dir(b.bucket)))
	b.write("data.ldb", sample(1, 700_000))
	b.write("sub/index", sample(2, 50_000))
	seed := sha256.Sum256([]byte(t.Name()))
	b.cfg = publish.Config{
		Key: ed25519.NewKeyFromSeed(seed[:]), Salt: salt, DataDir: t.TempDir(), Store: b.store, Public: b.public, Network: b.net,
		Level: archive.Fastest, ProbeFor: 200 * time.Millisecond, Now: b.clock.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	return b
}

// serve makes h the public face of the bucket.
func (b *bench) serve(h http.Handler) *bucket.Reader {
	b.t.Helper()
	server := httptest.NewServer(h)
	b.t.Cleanup(server.Close)
	client, err := bucket.NewHTTPClient(bucket.Policy{Origins: []string{server.URL}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(client.CloseIdleConnections)
	r, err := bucket.NewReader(server.URL, client)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// write makes a file of the source.
func (b *bench) write(name string, content []byte) {
	b.t.Helper()
	path := filepath.Join(b.source, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) open() *publish.Publisher {
	b.t.Helper()
	p, err := publish.New(b.cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// publish runs one publication of the source from opening to closing the publisher.
func (b *bench) publish() (publish.Report, error) {
	b.t.Helper()
	src, err := publish.OpenSource(b.t.Context(), b.source)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.publishSource(src)
}

func (b *bench) publishSource(src publish.Source) (publish.Report, error) {
	b.t.Helper()
	p := b.open()
	rep, err := p.Publish(b.t.Context(), publish.Request{Source: src})
	if e := p.Close(); e != nil {
		b.t.Error(e)
	}
	b.clock.add(time.Second)
	return rep, err
}

func (b *bench) mustPublish() publish.Report {
	b.t.Helper()
	rep, err := b.publish()
	if err != nil {
		b.t.Fatal(err)
	}
	return rep
}

func (b *bench) channel() snapshot.Channel {
	ch, err := snapshot.NewChannel(b.cfg.Key.Public().(ed25519.PublicKey), salt)
	if err != nil {
		b.t.Fatal(err)
	}
	return ch
}

// pointer reads the bucket's pointer; ok is false when there is none.
func (b *bench) pointer() (rec pointer.Record, p pointer.Pointer, ok bool) {
	b.t.Helper()
	raw, err := b.object(salt + "/pointer")
	if errors.Is(err, os.ErrNotExist) {
		return rec, p, false
	}
	if err == nil {
		rec, err = pointer.ParseRecord(raw)
	}
	if err == nil {
		err = rec.Verify(b.channel())
	}
	if err == nil {
		p, err = rec.Pointer()
	}
	if err != nil {
		b.t.Fatalf("the bucket's pointer: %v", err)
	}
	return rec, p, true
}

// check fails the test unless what the bucket's pointer names lies whole in the bucket. It returns its torrent.
func (b *bench) check() *snapshot.Torrent {
	b.t.Helper()
	_, p, ok := b.pointer()
	if !ok {
		return nil
	}
	raw, err := b.object(bucket.InfoHashKey(p.InfoHash))
	if err != nil {
		b.t.Fatal(err)
	}
	tor, err := snapshot.ParseTorrent(raw)
	if err != nil || tor.InfoHash != p.InfoHash || tor.InfoSHA256 != *p.InfoSHA256 {
		b.t.Fatalf("the torrent of the pointer: %v, %v", tor, err)
	}
	beside, err := b.object(bucket.TorrentKey(salt, tor.Description.Version, tor.Name))
	if err != nil || !bytes.Equal(beside, raw) {
		b.t.Fatalf("the torrent beside the archive differs or is missing: %v", err)
	}
	data, err := b.object(bucket.ArchiveKey(salt, tor.Description.Version, tor.Name))
	if err != nil {
		b.t.Fatal(err)
	}
	pieces, tree, err := snapshot.HashHybrid(b.t.Context(), bytes.NewReader(data), tor.Length, tor.PieceLength)
	if err != nil || !bytes.Equal(pieces, tor.Pieces) || int64(len(data)) != tor.Length {
		b.t.Fatalf("the archive does not match its torrent: %v", err)
	}
	if tor.HasV2() && !reflect.DeepEqual(tree, tor.Tree) {
		b.t.Fatal("the archive does not match the v2 part of its torrent")
	}
	if sha256.Sum256(data) != tor.Description.SHA256 {
		b.t.Fatal("the archive does not have the SHA-256 that was signed")
	}
	return tor
}

// object reads from the bucket; the error is an os.ErrNotExist where there is none.
func (b *bench) object(key string) ([]byte, error) {
	if b.read != nil {
		return b.read(key)
	}
	return os.ReadFile(filepath.Join(b.bucket, key))
}

// objects are the keys in the bucket.
func (b *bench) objects() []string {
	b.t.Helper()
	if b.list != nil {
		return b.list()
	}
	return files(b.t, b.bucket)
}

// files lists the files below dir, relative to it, without the publisher's and the store's own state.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err == nil && !d.IsDir() && !strings.HasPrefix(rel, ".producer") && rel != ".tmp/lock" {
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// sample is data of which about half can be compressed away.
func sample(seed byte, n int) []byte {
	r := rand.NewChaCha8([32]byte{seed})
	b := make([]byte, n)
	_, _ = r.Read(b)
	for i := range b {
		if i%4096 < 2048 {
			b[i] = byte(i / 64)
		}
	}
	return b
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
