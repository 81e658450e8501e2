package catalog_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/gateway/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const salt = "demo"

// publisher signs what the tests find.
var publisher = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))

func channel(t *testing.T) snapshot.Channel {
	t.Helper()
	ch, err := snapshot.NewChannel(publisher.Public().(ed25519.PublicKey), salt)
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// fakeData is a holding's data: some of its pieces are here.
type fakeData struct {
	torrent *snapshot.Torrent

	mu       sync.Mutex
	pieces   int // guarded by mu, as all below
	started  bool
	received int64
	err      error
	done     chan struct{}
}

func (d *fakeData) Torrent() *snapshot.Torrent           { return d.torrent }
func (d *fakeData) Have(int) bool                        { return false }
func (d *fakeData) WaitPiece(context.Context, int) error { return nil }
func (d *fakeData) Want(int, int) func()                 { return func() {} }
func (d *fakeData) File() (*os.File, error)              { return nil, os.ErrNotExist }
func (d *fakeData) Done() <-chan struct{}                { return d.done }

func (d *fakeData) Start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.started = true
}

func (d *fakeData) Stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.started = false
}

func (d *fakeData) isStarted() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.started
}

func (d *fakeData) Completed() (pieces int, n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.pieces {
		n += d.torrent.PieceSize(i)
	}
	return d.pieces, n
}

func (d *fakeData) Received() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.received
}

func (d *fakeData) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

func (d *fakeData) set(change func(*fakeData)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *fakeData) finish() {
	d.set(func(d *fakeData) { d.pieces, d.received = d.torrent.NumPieces(), d.torrent.Length })
	close(d.done)
}

// holding makes a version of four pieces, pieces of which are here. Version and retain make the info-hash.
func holding(t *testing.T, v snapshot.Version, pieces int, retain time.Duration) catalog.Holding {
	t.Helper()
	return after(t, catalog.Holding{Torrent: &snapshot.Torrent{}}, v, pieces, retain)
}

// after is a holding whose publisher had before as the newest when it was made.
func after(t *testing.T, before catalog.Holding, v snapshot.Version, pieces int, retain time.Duration) catalog.Holding {
	t.Helper()
	torrent, err := snapshot.NewTorrent(snapshot.Content{
		Name: "data.zst", Length: 4 * snapshot.MinPieceLength, PieceLength: snapshot.MinPieceLength, Pieces: make([]byte, 4*20),
		Description: &snapshot.Description{
			Version: v, Created: v.Time(), Kind: snapshot.KindFile, RawSize: 1, RawName: "data", Retain: retain, Previous: before.Torrent.InfoHash,
			Codec: snapshot.Codec{Format: snapshot.FormatZstd, Chunk: 4 << 20, Encoder: "test", Level: "3"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	data := &fakeData{torrent: torrent, pieces: pieces, done: make(chan struct{})}
	if pieces == torrent.NumPieces() {
		close(data.done)
	}
	return catalog.Holding{Version: v, Torrent: torrent, Data: data}
}

func dataOf(h catalog.Holding) *fakeData { return h.Data.(*fakeData) }

// record signs a pointer to h at the given time.
func record(t *testing.T, h catalog.Holding, signed, expires time.Time) pointer.Record {
	t.Helper()
	rec, err := pointer.Sign(publisher, salt, signed.UnixMilli(), pointer.Pointer{InfoHash: h.Torrent.InfoHash, Created: h.Version.Time(), Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// fakePeer is a swarm in which things are found when the test says so.
type fakePeer struct {
	mu        sync.Mutex
	newest    pointer.Record // guarded by mu, as all below
	found     pointer.Record // what the next Resolve accepts
	torrents  map[snapshot.InfoHash]catalog.Holding
	holdings  []catalog.Holding
	resolves  int
	reputs    []int64
	discarded []snapshot.Version
	openErr   error // of each Open, at once
	polled    []time.Time
	slow      time.Duration // that each Resolve and Open takes; a Reput takes a hundred times that
}

func (p *fakePeer) Newest(snapshot.Channel) (pointer.Record, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.newest, p.newest.Seq > 0
}

func (p *fakePeer) Resolve(context.Context, snapshot.Channel) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resolves++
	p.polled = append(p.polled, time.Now())
	p.takeTime(1)
	if p.found.Seq == 0 {
		return pointer.ErrNotFound
	}
	if p.found.Seq > p.newest.Seq {
		p.newest = p.found
	}
	return nil
}

func (p *fakePeer) Open(ctx context.Context, _ snapshot.Channel, rec pointer.Record) error {
	ptr, err := rec.Pointer()
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.takeTime(1)
	failure := p.openErr
	p.mu.Unlock()
	if failure != nil {
		return failure
	}
	for {
		if p.open(ptr.InfoHash) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("nobody has the torrent")
		case <-time.After(time.Second):
		}
	}
}

// takeTime lets the caller, who holds mu, be slow.
func (p *fakePeer) takeTime(times int) {
	d := time.Duration(times) * p.slow
	p.mu.Unlock()
	time.Sleep(d)
	p.mu.Lock()
}

func (p *fakePeer) open(ih snapshot.InfoHash) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.holdings {
		if h.Torrent.InfoHash == ih {
			return true
		}
	}
	h, ok := p.torrents[ih]
	if ok {
		p.insert(h)
	}
	return ok
}

func (p *fakePeer) insert(h catalog.Holding) {
	p.holdings = append(p.holdings, h)
	slices.SortFunc(p.holdings, func(a, b catalog.Holding) int { return strings.Compare(string(b.Version), string(a.Version)) })
}

func (p *fakePeer) Holdings(string) []catalog.Holding {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.holdings)
}

func (p *fakePeer) Discard(_ context.Context, _ string, v snapshot.Version) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.discarded = append(p.discarded, v)
	p.holdings = slices.DeleteFunc(p.holdings, func(h catalog.Holding) bool { return h.Version == v })
	return nil
}

func (p *fakePeer) Reput(_ context.Context, rec pointer.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reputs = append(p.reputs, rec.Seq)
	p.takeTime(100)
	return nil
}

// publish lets the next Resolve find rec, and Open the torrent of h unless it is the zero value.
func (p *fakePeer) publish(rec pointer.Record, h catalog.Holding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found = rec
	if h.Torrent != nil {
		if p.torrents == nil {
			p.torrents = make(map[snapshot.InfoHash]catalog.Holding)
		}
		p.torrents[h.Torrent.InfoHash] = h
	}
}

func (p *fakePeer) with(look func(*fakePeer)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	look(p)
}

func newCatalog(t *testing.T, p *fakePeer) *catalog.Catalog {
	t.Helper()
	return catalog.New(p, catalog.Config{
		Channels: []snapshot.Channel{channel(t)}, PollInterval: 10 * time.Minute,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
}
