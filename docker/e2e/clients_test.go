//go:build e2e

package e2e_test

import (
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/docker/stack"
)

// python is Debian's own, for which python3-libtorrent is packaged.
const python = "/usr/bin/python3"

// needLibtorrent skips the test where it is missing.
func needLibtorrent(t *testing.T) {
	t.Helper()
	if err := exec.CommandContext(t.Context(), python, "-c", "import libtorrent").Run(); err != nil {
		missing(t, "python3-libtorrent")
	}
}

// TestForeignTorrentClients lets other programs take the snapshot from the swarm.
func TestForeignTorrentClients(t *testing.T) {
	w := newWorld(t)
	_, pub := w.produce(w.ledger(6<<20), nil)
	mirror := w.mirror("mirror", nil)
	_, base := w.gateway("gateway", nil)

	for name, address := range map[string]string{
		"gateway":          base + "/" + w.Channel.Salt + "/latest/" + pub.file() + ".torrent",
		"gateway, version": base + "/" + bucket.TorrentKey(w.Channel.Salt, pub.Version(), pub.file()),
		"bucket":           w.BucketURL() + "/" + bucket.InfoHashKey(pub.Torrent.InfoHash),
	} {
		t.Run("aria2c with the webseed alone, torrent of the "+name, func(t *testing.T) { w.in(t).aria2Webseed(address, pub) })
	}
	t.Run("aria2c with a peer alone", func(t *testing.T) { w.in(t).aria2Peer(mirror, pub) })
	t.Run("libtorrent with a peer alone", func(t *testing.T) { w.in(t).libtorrentPeer(mirror.PeerAddr, pub) })
	t.Run("libtorrent reads the pointer from the DHT", func(t *testing.T) { w.in(t).libtorrentPointer(mirror.PeerAddr, pub) })
}

// aria2Alone keeps aria2c on loopback, without any way to find peers but those of the torrent.
var aria2Alone = []string{
	"--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--disable-ipv6",
	"--interface=127.0.0.1", "--bt-stop-timeout=60",
}

// aria2 downloads a torrent, given by its file or address.
func (w *world) aria2(dir, torrent string) {
	w.t.Helper()
	addr, err := stack.FreeAddr(w.ctx)
	w.ok(err)
	_, port, err := net.SplitHostPort(addr)
	w.ok(err)
	must(w.t, w.ctx, dir, need(w.t, "aria2c"), slices.Concat(aria2Alone, []string{
		"--listen-port=" + port, "--seed-time=0", "--quiet", "--check-integrity", "--dir=" + dir, torrent,
	})...)
}

func (w *world) aria2Webseed(address string, pub published) {
	dir := w.t.TempDir()
	w.aria2(dir, address)
	w.same(filepath.Join(dir, pub.file()), pub.archive)
}

// aria2Peer hides the webseed and names the mirror by a tracker.
func (w *world) aria2Peer(mirror *stack.Process, pub published) {
	need(w.t, "aria2c")
	peer := netip.MustParseAddrPort(mirror.PeerAddr)
	ip, port := peer.Addr().As4(), peer.Port()
	var asked atomic.Int64
	tracker := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		fmt.Fprintf(out, "d8:intervali1800e5:peers6:%se", string(append(ip[:], byte(port>>8), byte(port))))
	}))
	defer tracker.Close()
	dir := w.t.TempDir()
	file := filepath.Join(dir, "peers.torrent")
	announce := tracker.URL + "/announce"
	w.write(file, fmt.Appendf(nil, "d8:announce%d:%s4:info%se", len(announce), announce, pub.Torrent.Info), 0o600)
	before := w.metric(mirror, "snapswarm_mirror_uploaded_bytes_total")
	w.aria2(dir, file)
	w.same(filepath.Join(dir, pub.file()), pub.archive)
	if asked.Load() == 0 {
		w.t.Error("aria2c did not ask the tracker")
	}
	w.eventually("the mirror has counted what it gave", func() bool {
		return w.metric(mirror, "snapswarm_mirror_uploaded_bytes_total")-before >= float64(pub.size())
	})
}

// libtorrentPeer takes the whole snapshot from the peer at addr.
func (w *world) libtorrentPeer(addr string, pub published) {
	needLibtorrent(w.t)
	dir := w.t.TempDir()
	host, port, err := net.SplitHostPort(addr)
	w.ok(err)
	torrent := *pub.Torrent
	torrent.Origins = nil
	file := filepath.Join(dir, "peers.torrent")
	w.write(file, torrent.Encode(), 0o600)
	out := must(w.t, w.ctx, dir, python, script("download.py"), file, dir, host, port, "60")
	if !strings.HasPrefix(out, pub.Torrent.InfoHash.String()+" ") {
		w.t.Errorf("libtorrent has %q, want the info-hash %s", out, pub.Torrent.InfoHash)
	}
	w.same(filepath.Join(dir, pub.file()), pub.archive)
}

// libtorrentPointer joins the DHT at one node and reads the pointer out of it. libtorrent verifies the signature, so the same
// signature is the same value.
func (w *world) libtorrentPointer(node string, pub published) {
	needLibtorrent(w.t)
	host, port, err := net.SplitHostPort(node)
	w.ok(err)
	newest, err := w.Newest(w.ctx) // may be a renewal of what pub has
	w.ok(err)
	got := must(w.t, w.ctx, w.t.TempDir(), python, script("pointer.py"), host, port, hex.EncodeToString(w.Channel.Key[:]), w.Channel.Salt, "60")
	if want := fmt.Sprintf("%d %x\n", newest.Record.Seq, newest.Record.Sig); !strings.HasPrefix(got, want) || !strings.Contains(got, pub.Torrent.InfoHash.String()) {
		w.t.Errorf("libtorrent has the pointer %q, want %q and the info-hash %s", got, want, pub.Torrent.InfoHash)
	}
}

// script is one of testdata, by a name that the working directory does not matter for.
func script(name string) string { return filepath.Join(root, "docker", "e2e", "testdata", name) }
