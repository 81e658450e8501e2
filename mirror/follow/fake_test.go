package follow_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"snapswarm/common/archive"
	"snapswarm/common/daemon"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/mirror/follow"
)

// publisher signs for one channel and has the archives of its versions.
type publisher struct {
	key      ed25519.PrivateKey
	channel  snapshot.Channel
	ttl      time.Duration
	archives map[snapshot.InfoHash][]byte
	torrents map[snapshot.InfoHash]*snapshot.Torrent
}

func newPublisher(t *testing.T, salt string) *publisher {
	t.Helper()
	seed := sha256.Sum256([]byte(salt))
	p := &publisher{key: ed25519.NewKeyFromSeed(seed[:]), ttl: 14 * 24 * time.Hour, archives: map[snapshot.InfoHash][]byte{}, torrents: map[snapshot.InfoHash]*snapshot.Torrent{}}
	var err error
	p.channel, err = snapshot.NewChannel(p.key.Public().(ed25519.PublicKey), salt) //nolint:forcetypeassert // documented
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// snapshot packs raw as a file of the version of now; change may lie about it.
func (p *publisher) snapshot(t *testing.T, raw string, change ...func(*snapshot.Description)) snapshot.InfoHash {
	t.Helper()
	return p.pack(t, archive.ReaderSource("data.ldb", strings.NewReader(raw)), snapshot.KindFile, change...)
}

func (p *publisher) pack(t *testing.T, src archive.Source, kind string, change ...func(*snapshot.Description)) snapshot.InfoHash {
	t.Helper()
	var packed bytes.Buffer
	r, err := archive.Write(t.Context(), &packed, src, archive.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := &snapshot.Description{
		Version: snapshot.NewVersion(time.Now(), 0), Created: time.Now(), Kind: kind,
		SHA256: r.SHA256, RawSize: r.RawSize, RawSHA256: r.RawSHA256, RawName: src.Name(),
		Codec: snapshot.Codec{Format: snapshot.FormatZstd, Chunk: r.Chunk, Encoder: r.Encoder, Level: r.Level},
	}
	for _, f := range change {
		f(d)
	}
	hasher := snapshot.NewPieceHasher(snapshot.MinPieceLength)
	_, _ = hasher.Write(packed.Bytes())
	pieces, size := hasher.Sum()
	torrent, err := snapshot.NewTorrent(snapshot.Content{Name: "data.ldb.zst", Length: size, PieceLength: snapshot.MinPieceLength, Pieces: pieces, Description: d})
	if err != nil {
		t.Fatal(err)
	}
	p.archives[torrent.InfoHash], p.torrents[torrent.InfoHash] = packed.Bytes(), torrent
	return torrent.InfoHash
}

// hybrid is snapshot with a torrent that is found by the v2 info-hash alone.
func (p *publisher) hybrid(t *testing.T, raw string) *snapshot.Torrent {
	t.Helper()
	ih := p.snapshot(t, raw)
	v1, packed := p.torrents[ih], p.archives[ih]
	pieces, tree, err := snapshot.HashHybrid(t.Context(), bytes.NewReader(packed), v1.Length, v1.PieceLength)
	if err != nil {
		t.Fatal(err)
	}
	torrent, err := snapshot.NewTorrent(snapshot.Content{
		Name: v1.Name, Length: v1.Length, PieceLength: v1.PieceLength, Pieces: pieces, Tree: tree, Description: v1.Description,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.torrents[torrent.ShortV2()], p.archives[torrent.ShortV2()] = torrent, packed
	return torrent
}

// sign makes the pointer of now to ih.
func (p *publisher) sign(t *testing.T, ih snapshot.InfoHash) pointer.Record {
	t.Helper()
	ptr := pointer.Pointer{InfoHash: ih, Created: time.Now(), Expires: time.Now().Add(p.ttl)}
	rec, err := pointer.Sign(p.key, p.channel.Salt, time.Now().UnixMilli(), ptr)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// withdraw makes the pointer of now to an older snapshot, as producer withdraw does.
func (p *publisher) withdraw(t *testing.T, to snapshot.InfoHash) pointer.Record {
	t.Helper()
	created := p.torrents[to].Description.Version.Time()
	rec, err := pointer.Sign(p.key, p.channel.Salt, time.Now().UnixMilli(), pointer.Pointer{InfoHash: to, Created: created, Expires: time.Now().Add(p.ttl)})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// publish is snapshot and sign.
func (p *publisher) publish(t *testing.T, raw string, change ...func(*snapshot.Description)) pointer.Record {
	t.Helper()
	return p.sign(t, p.snapshot(t, raw, change...))
}

// fakePeer is a swarm in memory: what its tests say is what is found, and data comes when they say.
type fakePeer struct {
	dir        string
	publishers map[snapshot.Channel]*publisher

	mu       sync.Mutex
	answer   map[snapshot.Channel]pointer.Record
	failure  error         // of Resolve
	slow     time.Duration // that Resolve takes
	openErr  error
	accepted map[snapshot.Channel]pointer.Record
	held     []*fakeCopy
	resolved []time.Time
	reputs   []time.Time
	dht      map[snapshot.Channel]dhtItem // what a DHT would hold
}

// dhtItem is a record that the DHT forgets two hours after it was last put (BEP 44).
type dhtItem struct {
	record pointer.Record
	put    time.Time
}

func newFakePeer(t *testing.T, publishers ...*publisher) *fakePeer {
	t.Helper()
	p := &fakePeer{
		dir: t.TempDir(), publishers: map[snapshot.Channel]*publisher{},
		answer: map[snapshot.Channel]pointer.Record{}, accepted: map[snapshot.Channel]pointer.Record{},
		dht: map[snapshot.Channel]dhtItem{},
	}
	for _, pub := range publishers {
		p.publishers[pub.channel] = pub
	}
	return p
}

// set changes what the fake answers, under its lock.
func (p *fakePeer) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *fakePeer) announce(rec pointer.Record) {
	p.set(func() { p.answer[rec.Channel()] = rec })
}

func (p *fakePeer) Resolve(_ context.Context, ch snapshot.Channel) (pointer.Resolution, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resolved = append(p.resolved, time.Now())
	slow := p.slow
	p.mu.Unlock()
	time.Sleep(slow)
	p.mu.Lock()
	known := func(rec pointer.Record) pointer.Resolution {
		ptr, err := rec.Pointer()
		if err != nil {
			return pointer.Resolution{}
		}
		return pointer.Resolution{Record: rec, Pointer: ptr, Source: "fake"}
	}
	rec, ok := p.answer[ch]
	switch {
	case p.failure != nil:
		return known(p.accepted[ch]), p.failure
	case !ok:
		return known(p.accepted[ch]), fmt.Errorf("fake: %w", pointer.ErrNotFound)
	}
	p.accepted[ch] = rec
	return known(rec), nil
}

func (p *fakePeer) Newest(ch snapshot.Channel) (pointer.Record, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	rec, ok := p.accepted[ch]
	return rec, ok
}

func (p *fakePeer) Reput(_ context.Context, rec pointer.Record) error {
	p.set(func() {
		p.reputs = append(p.reputs, time.Now())
		p.dht[rec.Channel()] = dhtItem{rec, time.Now()}
	})
	return nil
}

// inDHT is the record of ch that a newcomer finds who knows nothing but the DHT; ok is false when there is none.
func (p *fakePeer) inDHT(ch snapshot.Channel) (rec pointer.Record, ok bool) {
	p.set(func() {
		item := p.dht[ch]
		rec, ok = item.record, !item.put.IsZero() && time.Since(item.put) < 2*time.Hour
	})
	return rec, ok
}

func (p *fakePeer) Open(ctx context.Context, ch snapshot.Channel, rec pointer.Record) (follow.Copy, error) {
	ptr, err := rec.Pointer()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	failure := p.openErr
	p.mu.Unlock()
	if failure != nil {
		<-ctx.Done() // like the real one, which tries until then
		return nil, failure
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.held {
		if ptr.Names(c.torrent) {
			return c, nil
		}
	}
	pub := p.publishers[ch]
	if pub.torrents[ptr.InfoHash] == nil {
		return nil, errors.New("nobody has the torrent")
	}
	c := &fakeCopy{peer: p, salt: ch.Salt, torrent: pub.torrents[ptr.InfoHash], content: pub.archives[ptr.InfoHash], done: make(chan struct{})}
	c.path = filepath.Join(p.dir, ch.Salt, string(c.Version()), c.torrent.Name)
	p.held = append(p.held, c)
	return c, errors.Join(os.MkdirAll(filepath.Dir(c.path), 0o755), os.WriteFile(c.path, nil, 0o644))
}

func (p *fakePeer) Copies(salt string) []follow.Copy {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []follow.Copy
	for _, c := range p.held {
		if c.salt == salt {
			out = append(out, c)
		}
	}
	return out
}

func (p *fakePeer) Discard(_ context.Context, cp follow.Copy) error {
	p.set(func() { p.held = slices.DeleteFunc(p.held, func(c *fakeCopy) bool { return c == cp }) })
	return os.RemoveAll(filepath.Dir(cp.Path()))
}

// versions are the info-hashes held, oldest first.
func (p *fakePeer) versions() []snapshot.InfoHash {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []snapshot.InfoHash
	for _, c := range p.held {
		out = append(out, c.torrent.InfoHash)
	}
	return out
}

// asked are the times at which the pointer was looked for.
func (p *fakePeer) asked() (times []time.Time) {
	p.set(func() { times = slices.Clone(p.resolved) })
	return times
}

// copyOf is the copy that was opened for ih.
func (p *fakePeer) copyOf(t *testing.T, ih snapshot.InfoHash) *fakeCopy {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.held {
		if c.torrent.InfoHash == ih {
			return c
		}
	}
	t.Fatalf("%s was not opened", ih)
	return nil
}

// fakeCopy arrives as deliver says.
type fakeCopy struct {
	peer    *fakePeer
	salt    string
	torrent *snapshot.Torrent
	content []byte
	path    string

	// Guarded by peer.mu.
	running bool
	present int64
	bad     int // that Check finds, once
	disk    error
	origins map[string]error
	done    chan struct{}
}

func (c *fakeCopy) Version() snapshot.Version  { return c.torrent.Description.Version }
func (c *fakeCopy) Torrent() *snapshot.Torrent { return c.torrent }
func (c *fakeCopy) Path() string               { return c.path }
func (c *fakeCopy) Start()                     { c.peer.set(func() { c.running = true }) }
func (c *fakeCopy) Stop()                      { c.peer.set(func() { c.running = false }) }

func (c *fakeCopy) Sync() error { return nil }

func (c *fakeCopy) Completed() (n int64) {
	c.peer.set(func() { n = c.present })
	return n
}

func (c *fakeCopy) Done() (done <-chan struct{}) {
	c.peer.set(func() { done = c.done })
	return done
}

func (c *fakeCopy) Check(context.Context) (bad int, err error) {
	c.peer.set(func() {
		if bad, c.bad = c.bad, 0; bad > 0 {
			c.present, c.done = 0, make(chan struct{})
		}
	})
	return bad, nil
}

func (c *fakeCopy) Stats() (s follow.Stats) {
	c.peer.set(func() {
		s = follow.Stats{FromPeers: c.present, Received: c.present, Peers: 3, Disk: c.disk, Origins: c.origins}
	})
	return s
}

// deliver lets the part of the file up to percent arrive, if the copy was started.
func (c *fakeCopy) deliver(t *testing.T, percent int64) {
	t.Helper()
	c.peer.mu.Lock()
	defer c.peer.mu.Unlock()
	if !c.running {
		t.Fatalf("%s is not being downloaded", c.Version())
	}
	c.present = int64(len(c.content)) * percent / 100
	if err := os.WriteFile(c.path, c.content[:c.present], 0o644); err != nil {
		t.Fatal(err)
	}
	if percent == 100 {
		close(c.done)
	}
}

// mirror is a follower in a bubble of its own time.
type mirror struct {
	*follow.Follower
	peer *fakePeer
	log  *bytes.Buffer
	stop func()
}

// config has everything that fakes need; its log goes to the test and to the buffer.
func config(t *testing.T, peer *fakePeer) (follow.Config, *bytes.Buffer) {
	t.Helper()
	text := new(bytes.Buffer)
	log := slog.New(slog.NewTextHandler(io.MultiWriter(text, t.Output()), nil))
	progress := daemon.NewProgress(&daemon.Terminal{Out: io.Discard}, slog.New(slog.DiscardHandler))
	t.Cleanup(progress.Close)
	return follow.Config{Peer: peer, DataDir: peer.dir, Retain: 1, Progress: progress, Log: log}.WithFree(func() int64 { return 1 << 40 }), text
}

// run starts a follower of all publishers of peer. Call it inside of a bubble.
func run(t *testing.T, peer *fakePeer, change ...func(*follow.Config)) *mirror {
	t.Helper()
	cfg, text := config(t, peer)
	for _, f := range change {
		f(&cfg)
	}
	var channels []snapshot.Channel
	for ch := range peer.publishers {
		channels = append(channels, ch)
	}
	slices.SortFunc(channels, func(a, b snapshot.Channel) int { return bytes.Compare([]byte(a.Salt), []byte(b.Salt)) })
	m := &mirror{Follower: follow.New(cfg, channels), peer: peer, log: text}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v, want nil after its context ended", err)
		}
		cfg.Progress.Close()
	})
	t.Cleanup(m.stop)
	return m
}

// pass lets time go by, and waits until everybody is done with it.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (m *mirror) only(t *testing.T) follow.Status {
	t.Helper()
	list := m.Status()
	if len(list) != 1 {
		t.Fatalf("%d channels, want 1", len(list))
	}
	return list[0]
}
