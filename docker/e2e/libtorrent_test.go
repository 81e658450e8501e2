//go:build e2e

package e2e_test

import (
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/snapshot"
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

func libtorrentVersion(w *world) string {
	needLibtorrent(w.t)
	return w.versionOf(python, "-c", "import libtorrent; print(libtorrent.__version__)")
}

// script is one of testdata, by a name that the working directory does not matter for.
func script(name string) string { return filepath.Join(root, "docker", "e2e", "testdata", name) }

func (g guest) libtorrentPeers()   { g.libtorrentPeer(g.seed, g.pub) }
func (g guest) libtorrentWebseed() { g.libtorrentTakes(g.pub, g.webseedOnly(), "none") }
func (g guest) libtorrentMagnet()  { g.libtorrentTakes(g.pub, g.magnet(), "none") }

// libtorrentPeer takes the whole snapshot from the peer at addr.
func (w *world) libtorrentPeer(addr string, pub published) {
	w.t.Helper()
	needLibtorrent(w.t)
	w.libtorrentTakes(pub, guest{world: w, pub: pub}.knowsNobody(), addr)
}

// libtorrentTakes downloads from a torrent file or magnet link, with one peer or none that the torrent does not name.
func (w *world) libtorrentTakes(pub published, torrent, peer string) {
	w.t.Helper()
	dir := w.t.TempDir()
	host, port, _ := strings.Cut(peer, ":")
	out := must(w.t, w.ctx, dir, python, script("download.py"), torrent, dir, host, port, "60")
	if !strings.HasPrefix(out, pub.Torrent.InfoHash.String()+" ") {
		w.t.Errorf("libtorrent has %q, want the info-hash %s", out, pub.Torrent.InfoHash)
	}
	w.same(filepath.Join(dir, pub.file()), pub.archive)
}

func (g guest) libtorrentSeeds() {
	addr := g.freeAddr(g.ip)
	c := g.start(g.t.TempDir(), python, script("seed.py"), g.knowsNobody(), g.stored(), addr)
	c.until("seeding", func() bool { return strings.Contains(tail(g.t, c.log), "seeding\n") })
	g.takenFrom(addr)
}

// libtorrentPointer joins the DHT at the mirror and reads the pointer out of it. libtorrent verifies the signature, so the same
// signature is the same value.
func (g guest) libtorrentPointer() {
	host, port, err := net.SplitHostPort(g.seed)
	g.ok(err)
	newest, err := g.Newest(g.ctx) // may be a renewal of what pub has
	g.ok(err)
	got := must(g.t, g.ctx, g.t.TempDir(), python, script("pointer.py"), host, port, hex.EncodeToString(g.Channel.Key[:]), g.Channel.Salt, "60")
	if want := fmt.Sprintf("%d %x\n", newest.Record.Seq, newest.Record.Sig); !strings.HasPrefix(got, want) || !strings.Contains(got, g.pub.Torrent.InfoHash.String()) {
		g.t.Errorf("libtorrent has the pointer %q, want %q and the info-hash %s", got, want, g.pub.Torrent.InfoHash)
	}
}

// TestAPointerSignedByLibtorrent follows a channel whose publisher is no program of ours: libtorrent signs the item, the torrent
// is somebody's, and a mirror that knows no bucket and one DHT node gets it from a peer.
func TestAPointerSignedByLibtorrent(t *testing.T) {
	needLibtorrent(t)
	w := newWorld(t)
	producer, pub := w.produce(w.ledger(1<<20), nil)
	ch, private := foreignKey(t)
	node, _, _ := strings.Cut(w.Bootstrap(), ",")
	host, port, err := net.SplitHostPort(node)
	w.ok(err)
	must(t, w.ctx, t.TempDir(), python, script("put.py"), host, port, hex.EncodeToString(private), hex.EncodeToString(ch.Key[:]), ch.Salt, pub.Torrent.InfoHash.String(), "60")

	e := w.once("follower", stack.Env{"CHANNEL": ch.String(), "BUCKET_URL": "", "SEED_PEERS": producer.PeerAddr, "ORIGIN_POLICY": "never"})
	if e.code != 0 {
		t.Fatal(e)
	}
	w.same(strings.TrimSuffix(e.stdout, "\n"), pub.archive)
}

// foreignKey is a channel of a new key, and that key as libtorrent and others keep it: expanded (RFC 8032, section 5.1.5), not the seed.
func foreignKey(t *testing.T) (snapshot.Channel, []byte) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := snapshot.NewChannel(public, "theirs")
	if err != nil {
		t.Fatal(err)
	}
	expanded := sha512.Sum512(private.Seed())
	expanded[0] &= 248
	expanded[31] = expanded[31]&127 | 64
	return ch, expanded[:]
}
