package peer_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"snapswarm/common/bucket/buckettest"
	"snapswarm/common/daemon"
	"snapswarm/common/peer"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	salt    = "daily"
	version = snapshot.Version("20261120T060000Z")
	file    = "chain.zst"
)

func testChannel(t *testing.T) snapshot.Channel {
	t.Helper()
	return buckettest.Channel(t, salt)
}

// settings are those of a process on loopback that no other process knows of.
func settings(dir string) peer.Settings {
	s := peer.Settings{OriginPolicy: swarm.OriginShared, OriginPatience: 500 * time.Millisecond}
	s.DataDir = dir
	s.ListenAddr = "127.0.0.1:0"
	s.AllowPrivate = true
	s.DHTBootstrap = daemon.HostPorts{}
	return s
}

func join(t *testing.T, s peer.Settings) *peer.Peer {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p, err := peer.Join(ctx, s, []snapshot.Channel{testChannel(t)}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.Run(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("Run = %v", err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if err := p.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	})
	return p
}

func publish(t *testing.T, baseURL string) buckettest.Published {
	t.Helper()
	return buckettest.Publish(t, salt, file, baseURL)
}

// bucketOf serves what fill puts into it.
func bucketOf(t *testing.T) (url string, fill func(buckettest.Published)) {
	t.Helper()
	dir := t.TempDir()
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return server.URL, func(p buckettest.Published) { p.Write(t, dir) }
}

func fetch(t *testing.T, p *peer.Peer) *peer.Holding {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	res, err := p.Resolve(ctx, testChannel(t))
	if err != nil {
		t.Fatal(err)
	}
	h, err := p.Open(ctx, testChannel(t), res.Record)
	if err != nil {
		t.Fatal(err)
	}
	h.Snapshot.Start()
	select {
	case <-h.Snapshot.Done():
	case <-ctx.Done():
		t.Fatalf("not complete: %+v", h.Snapshot.Stats())
	}
	return h
}

func checkBytes(t *testing.T, h *peer.Holding, want []byte) {
	t.Helper()
	f, err := h.Snapshot.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := io.ReadAll(f)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("file differs from what was published (%d bytes of %d, %v)", len(got), len(want), err)
	}
}

func TestBootstrapFromTheBucketAlone(t *testing.T) {
	base, fill := bucketOf(t)
	pub := publish(t, "")
	fill(pub)
	s := settings(t.TempDir())
	s.BucketURL = []string{base}
	h := fetch(t, join(t, s))
	checkBytes(t, h, pub.Data)
	if h.Version != version || h.Snapshot.Stats().FromOrigin != int64(len(pub.Data)) {
		t.Errorf("version %s, stats %+v", h.Version, h.Snapshot.Stats())
	}
}

func TestDHTAndPeersAloneAfterTheBucketIsGone(t *testing.T) {
	pub := publish(t, "")
	seeder := join(t, settings(t.TempDir()))
	path := seeder.ArchivePath(salt, version, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pub.Data, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := seeder.Adopt(t.Context(), testChannel(t), version, pub.Torrent); err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + strconv.Itoa(seeder.Port())

	s := settings(t.TempDir())
	s.DHTBootstrap = daemon.HostPorts{address}
	s.SeedPeers = daemon.HostPorts{address}
	leech := join(t, s)
	put(t, leech, pub.Record)
	h := fetch(t, leech)
	checkBytes(t, h, pub.Data)
	if got := h.Snapshot.Stats().FromPeers; got != int64(len(pub.Data)) {
		t.Errorf("%d bytes from peers, want all %d", got, len(pub.Data))
	}
}

// TestAPointerFromTheBucketReachesTheDHT has a process that knows a pointer from a bucket alone; the first DHT node that it
// meets later has nothing but it.
func TestAPointerFromTheBucketReachesTheDHT(t *testing.T) {
	url, fill := bucketOf(t)
	pub := publish(t, url)
	fill(pub)
	first := settings(t.TempDir())
	first.BucketURL = []string{url}
	holder := join(t, first)
	if _, err := holder.Resolve(t.Context(), testChannel(t)); err != nil {
		t.Fatal(err)
	}
	second := settings(t.TempDir())
	second.DHTBootstrap = daemon.HostPorts{"127.0.0.1:" + strconv.Itoa(holder.Port())}
	newcomer := join(t, second)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		_, _ = holder.Resolve(t.Context(), testChannel(t)) // as all do regularly
		res, err := newcomer.Resolve(t.Context(), testChannel(t))
		if err == nil && res.Record.Equal(pub.Record) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the newcomer finds no pointer: %v", err)
		}
	}
}

func TestReputWithoutADHTIsNoError(t *testing.T) {
	res, err := join(t, settings(t.TempDir())).Reput(t.Context(), publish(t, "http://127.0.0.1:1").Record)
	if err != nil || res.Put {
		t.Errorf("Reput of a process with DHT_BOOTSTRAP=none = %+v, %v, want nothing done and no error", res, err)
	}
}

// put stores the record in the seeder's node, from the leech, which never looks into its own store.
func put(t *testing.T, p *peer.Peer, rec pointer.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		res, err := p.PutPointer(ctx, rec)
		if res.Stored > 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("put = %+v, %v", res, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func TestRestartKnowsPointerAndPieces(t *testing.T) {
	base, fill := bucketOf(t)
	pub := publish(t, base)
	fill(pub)
	dir := t.TempDir()
	s := settings(dir)
	s.BucketURL = []string{base}
	first := join(t, s)
	fetch(t, first)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	again := join(t, settings(dir))
	rec, ok := again.Newest(testChannel(t))
	if !ok || rec.Seq != pub.Record.Seq {
		t.Errorf("Newest = seq %d, %v, want %d", rec.Seq, ok, pub.Record.Seq)
	}
	held := again.Holdings(salt)
	if len(held) != 1 {
		t.Fatalf("%d holdings, want 1", len(held))
	}
	if _, n := held[0].Snapshot.Completed(); n != int64(len(pub.Data)) {
		t.Errorf("%d bytes present after restart, want %d", n, len(pub.Data))
	}
	// The signed base address is asked for the pointer although no bucket is configured.
	res, err := again.Resolve(t.Context(), testChannel(t))
	if err != nil || res.Source != "signed base URL" {
		t.Errorf("Resolve = from %q, %v", res.Source, err)
	}
}

func TestDiscardLeavesNothing(t *testing.T) {
	base, fill := bucketOf(t)
	fill(publish(t, ""))
	s := settings(t.TempDir())
	s.BucketURL = []string{base}
	p := join(t, s)
	h := fetch(t, p)
	if err := p.Discard(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(s.DataDir, salt))
	if err != nil || len(entries) != 1 || entries[0].Name() != "channel" || len(p.Holdings(salt)) != 0 {
		t.Errorf("after Discard: %v, %v, %d holdings", entries, err, len(p.Holdings(salt)))
	}
}

// TestASignedTorrentThatCannotBeUsedEndsTheSearch: no other source can have a better one.
func TestASignedTorrentThatCannotBeUsedEndsTheSearch(t *testing.T) {
	base, fill := bucketOf(t)
	pub := publish(t, "")
	bad := *pub.Torrent
	bad.Info = bytes.Replace(bad.Info, []byte("9:chain.zst"), []byte("9:../in.zst"), 1)
	bad.InfoHash, bad.InfoSHA256 = sha1.Sum(bad.Info), sha256.Sum256(bad.Info)
	rec, err := pointer.Sign(buckettest.Key(), salt, time.Now().UnixMilli(), pointer.Pointer{InfoHash: bad.InfoHash, InfoSHA256: &bad.InfoSHA256})
	if err != nil {
		t.Fatal(err)
	}
	pub.Torrent = &bad
	fill(pub)
	s := settings(t.TempDir())
	s.BucketURL = []string{base}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = join(t, s).Open(ctx, testChannel(t), rec)
	if err == nil || !strings.Contains(err.Error(), `"../in.zst"`) || daemon.ExitOf(err) != daemon.ExitVerification || ctx.Err() != nil {
		t.Errorf("Open = %v (exit %d), %v; want a refusal at once and exit 31", err, daemon.ExitOf(err), ctx.Err())
	}
}

func TestForgedTorrentIsRefused(t *testing.T) {
	base, fill := bucketOf(t)
	pub := publish(t, "")
	other := *pub.Torrent
	other.Info = bytes.Replace(other.Info, []byte("chain"), []byte("chaos"), 1)
	pub.Torrent = &other
	fill(pub)
	s := settings(t.TempDir())
	s.BucketURL = []string{base}
	p := join(t, s)
	res, err := p.Resolve(t.Context(), testChannel(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = p.Open(ctx, testChannel(t), res.Record)
	if err == nil || !strings.Contains(err.Error(), "not the one asked for") || daemon.ExitOf(err) != daemon.ExitNoData {
		t.Errorf("Open = %v (exit %d), want a refusal and exit 20", err, daemon.ExitOf(err))
	}
}

func TestSourcesThatHangDelayNobody(t *testing.T) {
	release := make(chan struct{})
	hung := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer hung.Close()
	defer close(release)
	deaf, err := net.ListenPacket("udp4", "127.0.0.1:0") //nolint:noctx // a test's own socket
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	base, fill := bucketOf(t)
	pub := publish(t, "")
	fill(pub)
	s := settings(t.TempDir())
	s.BucketURL = []string{hung.URL, base}
	s.DHTBootstrap = daemon.HostPorts{deaf.LocalAddr().String()} // a DHT that never answers
	p := join(t, s)
	// The patience of the DHT node and of the HTTP client is 30 seconds.
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	res, err := p.Resolve(ctx, testChannel(t))
	if err != nil || res.Source != base {
		t.Fatalf("Resolve = from %q, %v, want an answer from %s", res.Source, err, base)
	}
	if _, err := p.Open(ctx, testChannel(t), res.Record); err != nil {
		t.Errorf("Open = %v", err)
	}
}

func TestExitCodesOfResolve(t *testing.T) {
	base, fill := bucketOf(t)
	s := settings(t.TempDir())
	s.BucketURL = []string{base}
	p := join(t, s)
	_, err := p.Resolve(t.Context(), testChannel(t))
	if daemon.ExitOf(err) != daemon.ExitNoPointer {
		t.Errorf("empty bucket: %v, exit %d", err, daemon.ExitOf(err))
	}
	pub := publish(t, "")
	pub.Record.Sig[0] ^= 1
	fill(pub)
	_, err = p.Resolve(t.Context(), testChannel(t))
	if daemon.ExitOf(err) != daemon.ExitRefused || !errors.Is(err, pointer.ErrSignature) {
		t.Errorf("forged record: %v, exit %d", err, daemon.ExitOf(err))
	}
}

func TestASecondProcessIsRefused(t *testing.T) {
	s := settings(t.TempDir())
	join(t, s)
	_, err := peer.Join(t.Context(), s, nil, slog.New(slog.DiscardHandler))
	if !errors.Is(err, peer.ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("second Join = %v, want %v with the pid", err, peer.ErrInUse)
	}
}

func TestAFolderBelongsToOneChannel(t *testing.T) {
	s := settings(t.TempDir())
	if err := join(t, s).Close(); err != nil {
		t.Fatal(err)
	}
	other := testChannel(t)
	other.Key[0] ^= 1
	_, err := peer.Join(t.Context(), s, []snapshot.Channel{other}, slog.New(slog.DiscardHandler))
	if daemon.ExitOf(err) != daemon.ExitUsage || !strings.Contains(err.Error(), testChannel(t).String()) {
		t.Errorf("Join with another key = %v (exit %d), want usage and the old link", err, daemon.ExitOf(err))
	}
}

func TestABrokenBlocklistIsAMistakeOfTheOperator(t *testing.T) {
	s := settings(t.TempDir())
	s.IPBlocklist = filepath.Join(t.TempDir(), "list")
	for text, want := range map[string]string{"": "no such file", "# fine\n192.0.2.0/24\nnonsense\n": "line 3"} {
		if text != "" {
			if err := os.WriteFile(s.IPBlocklist, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		} else {
			_ = os.Remove(s.IPBlocklist)
		}
		_, err := peer.Join(t.Context(), s, nil, slog.New(slog.DiscardHandler))
		if daemon.ExitOf(err) != daemon.ExitUsage || !strings.Contains(err.Error(), "IP_BLOCKLIST") || !strings.Contains(err.Error(), want) {
			t.Errorf("Join = %v (exit %d), want usage, IP_BLOCKLIST and %q", err, daemon.ExitOf(err), want)
		}
	}
}

func TestCourtesyIsChecked(t *testing.T) {
	fine := peer.Courtesy{MaxPeers: 1, MaxConnections: 1, MaxHalfOpen: 1, Trackers: daemon.List{"udp://tracker.example:6969"}}
	if err := fine.CheckCourtesy(); err != nil {
		t.Errorf("CheckCourtesy = %v", err)
	}
	for want, set := range map[string]func(*peer.Courtesy){
		"MAX_PEERS":       func(c *peer.Courtesy) { c.MaxPeers = 0 },
		"MAX_CONNECTIONS": func(c *peer.Courtesy) { c.MaxConnections = -1 },
		"MAX_HALF_OPEN":   func(c *peer.Courtesy) { c.MaxHalfOpen = 0 },
		"TRACKERS":        func(c *peer.Courtesy) { c.Trackers = daemon.List{"tracker.example"} },
	} {
		c := fine
		set(&c)
		if err := c.CheckCourtesy(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckCourtesy = %v, want an error about %s", err, want)
		}
	}
}

func TestWantedChannels(t *testing.T) {
	link, key := testChannel(t).String(), testChannel(t).Key
	for name, c := range map[string]struct {
		set  func(*peer.Settings)
		want int
		name string // of the setting that the error names
	}{
		"one link":                {func(s *peer.Settings) { s.Channel = daemon.List{link} }, 1, ""},
		"key and salt":            {func(s *peer.Settings) { s.AuthorityPubkey = strings.Repeat("3b", 32); s.DHTSalt = "daily" }, 1, ""},
		"nothing":                 {func(*peer.Settings) {}, 0, "CHANNEL"},
		"the same twice":          {func(s *peer.Settings) { s.Channel = daemon.List{link, link} }, 0, "CHANNEL"},
		"no link":                 {func(s *peer.Settings) { s.Channel = daemon.List{"daily"} }, 0, "CHANNEL"},
		"a broken key":            {func(s *peer.Settings) { s.AuthorityPubkey = "abc" }, 0, "AUTHORITY_PUBKEY"},
		"a link and another key":  {func(s *peer.Settings) { s.Channel, s.AuthorityPubkey = daemon.List{link}, strings.Repeat("3b", 32) }, 0, "AUTHORITY_PUBKEY"},
		"a link and a broken key": {func(s *peer.Settings) { s.Channel, s.AuthorityPubkey = daemon.List{link}, "abc" }, 0, "AUTHORITY_PUBKEY"},
		"a link and the same key": {func(s *peer.Settings) { s.Channel, s.AuthorityPubkey = daemon.List{link}, hex.EncodeToString(key[:]) }, 1, ""},
		"a reserved salt":         {func(s *peer.Settings) { s.AuthorityPubkey = strings.Repeat("3b", 32); s.DHTSalt = "latest" }, 0, "DHT_SALT"},
	} {
		s := peer.Settings{}
		c.set(&s)
		got, err := s.Wanted()
		if len(got) != c.want || (c.want == 0 && (daemon.ExitOf(err) != daemon.ExitUsage || !strings.Contains(err.Error(), c.name))) {
			t.Errorf("%s: Wanted = %d channels, %v (exit %d)", name, len(got), err, daemon.ExitOf(err))
		}
	}
}
