//go:build e2e

package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
	"snapswarm/docker/stack"
)

// foreign is a torrent that libtorrent has made and seeds.
type foreign struct {
	*world
	dir     string // holds its files
	data    []byte // of the only file
	torrent []byte
	v1, v2  string // info-hashes in hex; all zeros for none
	addr    string // of the seed
}

// foreignName is the file of all foreign torrents.
const foreignName = "ledger.7z"

// makeForeign makes the torrent of random bytes: v1, hybrid or v2.
func (w *world) makeForeign(kind string, size, pieceLength int) foreign {
	return w.makeForeignOf(kind, map[string][]byte{foreignName: random(77, size)}, pieceLength)
}

// makeForeignOf makes the torrent of files: one of the torrent's name, or several below that.
func (w *world) makeForeignOf(kind string, files map[string][]byte, pieceLength int) foreign {
	w.t.Helper()
	needLibtorrent(w.t)
	f := foreign{world: w, data: files[foreignName], dir: w.t.TempDir()}
	for name, data := range files {
		w.write(filepath.Join(f.dir, name), data, 0o600)
	}
	path := filepath.Join(f.dir, foreignName)
	dir := f.dir
	out := must(w.t, w.ctx, dir, python, script("torrent.py"), path, fmt.Sprint(pieceLength), kind, path+".torrent")
	if _, err := fmt.Sscan(out, &f.v1, &f.v2); err != nil {
		w.t.Fatalf("torrent.py: %q: %v", out, err)
	}
	var err error
	f.torrent, err = os.ReadFile(path + ".torrent")
	w.ok(err)
	return f
}

// seed lets libtorrent seed it, in the world's DHT, until the test ends.
func (f *foreign) seed() {
	f.t.Helper()
	var err error
	f.addr, err = stack.FreeAddr(f.ctx)
	f.ok(err)
	host, port, err := net.SplitHostPort(f.addr)
	f.ok(err)
	dhtHost, dhtPort, err := net.SplitHostPort(strings.Split(f.Bootstrap(), ",")[0])
	f.ok(err)
	cmd := exec.CommandContext(f.ctx, python, script("libtorrent_seed.py"), filepath.Join(f.dir, foreignName+".torrent"), f.dir, host, port, dhtHost, dhtPort, "120")
	stdin, err := cmd.StdinPipe()
	f.ok(err)
	stdout, err := cmd.StdoutPipe()
	f.ok(err)
	f.ok(cmd.Start())
	f.t.Cleanup(func() {
		if err := stdin.Close(); err != nil {
			f.t.Error(err)
		}
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait() // ends by closed stdin or with the test's context
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); strings.TrimSpace(line) != "ready" {
		f.t.Fatalf("libtorrent_seed.py said %q, %v", line, err)
	}
}

// raw is a byte string of hex digits as a BEP 44 value.
func raw(digits string) []byte {
	b, _ := hex.DecodeString(digits)
	return fmt.Appendf(nil, "%d:%s", len(b), b)
}

// TestPointersOfOtherPublishers follows what others than our producer put into the DHT: BEP 46 values and bare info-hashes, with
// sequence numbers that only count. Torrent and data come from libtorrent.
func TestPointersOfOtherPublishers(t *testing.T) {
	ih := func(digits string) []byte { return fmt.Appendf([]byte("d2:ih"), "%se", raw(digits)) }
	for _, c := range []struct {
		name, kind string
		size       int // a short last piece unless it is a multiple of 64 KiB
		value      func(f foreign) []byte
	}{
		{"BEP 46 value, v1", "v1", 700_001, func(f foreign) []byte { return ih(f.v1) }},
		{"20 bytes, v1", "v1", 700_001, func(f foreign) []byte { return raw(f.v1) }},
		{"BEP 46 value, hybrid", "hybrid", 700_001, func(f foreign) []byte { return ih(f.v1) }},
		{"20 bytes, hybrid by its v2 half", "hybrid", 700_001, func(f foreign) []byte { return raw(f.v2[:40]) }},
		{"32 bytes, hybrid", "hybrid", 700_001, func(f foreign) []byte { return raw(f.v2) }},
		{"32 bytes, v2", "v2", 700_001, func(f foreign) []byte { return raw(f.v2) }},
		{"32 bytes, v2, whole pieces", "v2", 20 << 16, func(f foreign) []byte { return raw(f.v2) }},
		{"32 bytes, v2, one piece", "v2", 12345, func(f foreign) []byte { return raw(f.v2) }},
		{"20 bytes, v2", "v2", 700_001, func(f foreign) []byte { return raw(f.v2[:40]) }},
		{"BEP 46 value, v2", "v2", 700_001, func(f foreign) []byte { return ih(f.v2[:40]) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorldOf(t, "daily")
			f := w.makeForeign(c.kind, c.size, 64<<10)
			f.seed()
			signer := forge{world: w, key: w.key()}
			w.ok(w.Put(w.ctx, signer.sign(1370, c.value(f))))

			// It finds the seed by the DHT alone.
			e := w.once("once", stack.Env{"SEED_PEERS": "", "BUCKET_URL": "", "STALL_TIMEOUT": "30s", "LOG_LEVEL": "debug"})
			if e.code != 0 {
				t.Fatalf("mirror --once: %s", e)
			}
			w.same(strings.TrimSpace(e.stdout), f.data)
			if !strings.HasSuffix(strings.TrimSpace(e.stdout), "/"+foreignName) {
				t.Errorf("the file is %s", e.stdout)
			}
		})
	}
}

// TestTorrentsThatCannotBeFollowed names directories, which are no snapshots. A script learns that at once.
func TestTorrentsThatCannotBeFollowed(t *testing.T) {
	for _, kind := range []string{"hybrid", "v2"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorldOf(t, "daily")
			f := w.makeForeignOf(kind, map[string][]byte{foreignName + "/one": random(1, 100_000), foreignName + "/two": random(2, 100_000)}, 64<<10)
			f.seed()
			signer := forge{world: w, key: w.key()}
			w.ok(w.Put(w.ctx, signer.sign(1370, raw(f.v2))))
			e := w.once("once", stack.Env{"SEED_PEERS": f.addr, "BUCKET_URL": "", "STALL_TIMEOUT": "60s"})
			if e.code != 31 || !strings.Contains(e.stderr, "more than a single file") {
				t.Errorf("mirror --once: %s; want 31 and why", e)
			}
		})
	}
}

// TestV2IsSeededOn lets libtorrent take a torrent that is v2 only from our mirror alone.
func TestV2IsSeededOn(t *testing.T) {
	w := newWorldOf(t, "daily")
	f := w.makeForeign("v2", 20<<16, 64<<10) // libtorrent asks for more of a short last piece than there is
	f.seed()
	signer := forge{world: w, key: w.key()}
	w.ok(w.Put(w.ctx, signer.sign(1370, raw(f.v2))))
	mirror := w.mirror("mirror", stack.Env{"SEED_PEERS": f.addr, "BUCKET_URL": ""})
	if status := w.status(mirror); !strings.Contains(status, "expiry unknown") {
		t.Errorf("status %q, want the expiry unknown", status)
	}
	host, port, err := net.SplitHostPort(mirror.PeerAddr)
	w.ok(err)
	for name, source := range map[string]string{
		"torrent": filepath.Join(f.dir, foreignName+".torrent"), "magnet": "magnet:?xt=urn:btmh:1220" + f.v2,
	} {
		dir := t.TempDir()
		must(t, w.ctx, dir, python, script("download.py"), source, dir, host, port, "60")
		if w.same(filepath.Join(dir, foreignName), f.data); t.Failed() {
			t.Fatalf("by its %s", name)
		}
	}
}

// TestAForeignChannelIsServedOn has a gateway follow what OpenRAI publishes: a hybrid torrent by 32 raw bytes. Its successor
// replaces it, though the sequence number has moved by one only.
func TestAForeignChannelIsServedOn(t *testing.T) {
	w := newWorldOf(t, "daily")
	f := w.makeForeign("hybrid", 700_001, 64<<10)
	f.seed()
	signer := forge{world: w, key: w.key()}
	w.ok(w.Put(w.ctx, signer.sign(1370, raw(f.v2))))
	gateway, base := w.gateway("gateway", stack.Env{"SEED_PEERS": f.addr, "BUCKET_URL": ""})
	latest := base + "/daily/latest/" + foreignName
	w.eventually("the gateway serves it", func() bool {
		status, _, body := w.get(latest)
		return status == http.StatusOK && bytes.Equal(body, f.data)
	})
	status, _, got := w.get(base + "/torrents/" + f.v2[:40] + ".torrent")
	if tor, err := snapshot.ParseTorrent(got); status != http.StatusOK || err != nil || hex.EncodeToString(tor.InfoSHA256[:]) != f.v2 || tor.InfoHash.String() != f.v1 {
		t.Errorf("its torrent by the v2 info-hash: %d %v", status, err)
	}
	// A mirror that knows nothing but the gateway. It names the version by the second in which it sees it, so the data can only
	// come from the gateway as a peer.
	e := w.once("once", alone(stack.Env{"BUCKET_URL": base, "SEED_PEERS": gateway.PeerAddr, "STALL_TIMEOUT": "30s"}))
	if e.code != 0 {
		t.Fatalf("mirror --once: %s", e)
	}

	next := w.makeForeign("hybrid", 600_001, 64<<10)
	next.seed()
	w.ok(w.Put(w.ctx, signer.sign(1371, raw(next.v2))))
	w.eventually("the gateway serves its successor", func() bool {
		status, _, body := w.get(latest)
		return status == http.StatusOK && bytes.Equal(body, next.data)
	})
}

// TestHybridTorrents publishes one, and lets everybody have it: our mirror, whose gateway it comes from, and libtorrent by either
// half.
func TestHybridTorrents(t *testing.T) {
	w := newWorld(t)
	_, pub := w.produce(w.ledger(6<<20), stack.Env{"TORRENT_FORMAT": "hybrid"})
	tor := pub.Torrent
	if !tor.HasV1() || !tor.HasV2() || tor.NewTreeCheck(0) == nil {
		t.Fatalf("the torrent is not a whole hybrid: v1 %v, v2 %v", tor.HasV1(), tor.HasV2())
	}
	newest, err := w.Newest(w.ctx)
	w.ok(err)
	p, err := newest.Record.Pointer()
	w.ok(err)
	if p.InfoHashV2 == nil || *p.InfoHashV2 != tor.InfoSHA256 {
		t.Errorf("the pointer's v2 info-hash is %v, want %x", p.InfoHashV2, tor.InfoSHA256)
	}
	_, base := w.gateway("gateway", nil)
	mirror := w.mirror("mirror", alone(stack.Env{"BUCKET_URL": base}))
	w.same(w.held(mirror, pub), pub.archive)
	peers := w.mirror("peers", stack.Env{"BUCKET_URL": "", "SEED_PEERS": mirror.PeerAddr, "ORIGIN_POLICY": "never"})
	w.same(w.held(peers, pub), pub.archive)
	_, _, body := w.get(base + "/" + w.Channel.Salt + "/latest/" + pub.file())
	if !bytes.Equal(body, pub.archive) {
		t.Error("the gateway's file differs")
	}

	needLibtorrent(t)
	host, port, err := net.SplitHostPort(peers.PeerAddr)
	w.ok(err)
	dir := t.TempDir()
	bare := *tor
	bare.Origins = nil
	file := filepath.Join(dir, "hybrid.torrent")
	w.write(file, bare.Encode(), 0o600)
	for name, source := range map[string]string{
		"the torrent":      file,
		"a v1 magnet link": "magnet:?xt=urn:btih:" + tor.InfoHash.String(),
		"a v2 magnet link": fmt.Sprintf("magnet:?xt=urn:btmh:1220%x", tor.InfoSHA256),
	} {
		t.Run("libtorrent by "+name, func(t *testing.T) {
			dir := t.TempDir()
			out := must(t, w.ctx, dir, python, script("download.py"), source, dir, host, port, "60")
			if !strings.HasPrefix(out, tor.InfoHash.String()+" ") {
				t.Errorf("libtorrent has %q, want the info-hash %s", out, tor.InfoHash)
			}
			w.in(t).same(filepath.Join(dir, pub.file()), pub.archive)
		})
	}
	t.Run("aria2c with the webseed alone", func(t *testing.T) {
		guest{world: w.in(t), pub: pub, ip: "127.0.0.1"}.aria2(w.BucketURL() + "/" + bucket.InfoHashKey(tor.InfoHash))
	})
}

// TestInfoHashesAreLibtorrents compares hybrids of ours with those that libtorrent makes of the same file.
func TestInfoHashesAreLibtorrents(t *testing.T) {
	w := &world{t: t, ctx: t.Context()}
	for _, size := range []int{1, 16 << 10, 256 << 10, 256<<10 + 1, 3<<20 + 12345, 8 << 20} {
		for _, pieceLength := range []int{16 << 10, 256 << 10, 1 << 20} {
			f := w.makeForeign("hybrid", size, pieceLength)
			hasher := snapshot.NewHybridHasher(int64(pieceLength))
			_, _ = hasher.Write(f.data)
			pieces, length := hasher.Sum()
			tor, err := snapshot.NewTorrent(snapshot.Content{
				Name: foreignName, Length: length, PieceLength: int64(pieceLength), Pieces: pieces, Tree: hasher.Tree(),
			})
			w.ok(err)
			if got := fmt.Sprintf("%s %x", tor.InfoHash, tor.InfoSHA256); got != f.v1+" "+f.v2 {
				t.Errorf("%d bytes in pieces of %d: %s, libtorrent has %s %s", size, pieceLength, got, f.v1, f.v2)
			}
			theirs, err := snapshot.ParseTorrent(f.torrent)
			w.ok(err)
			if !bytes.Equal(theirs.Encode(), tor.Encode()) {
				t.Errorf("%d bytes in pieces of %d: the piece layers differ", size, pieceLength)
			}
		}
	}
}
