//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"snapswarm/docker/stack"
)

// What a foreign client can show; the columns of the table in README.md.
const (
	takesPeers   = "v1 peers"    // downloads from our peers alone, by a .torrent
	takesWebseed = "webseed"     // downloads from the bucket alone, by the .torrent that is public
	takesMagnet  = "magnet"      // gets the metadata from our peers, then the content
	takesHybrid  = "hybrid"      // downloads a hybrid torrent from our peers alone
	seedsToUs    = "seeds to us" // our mirror downloads from this client alone
	speaksDHT    = "pointer"     // reads the pointer from the DHT
)

var columns = []string{takesPeers, takesWebseed, takesMagnet, takesHybrid, seedsToUs, speaksDHT}

// proof fails its test unless a client can do something.
type proof func(g guest)

// client is a BitTorrent program of others. What has no proof is not claimed.
type client struct {
	name    string
	version func(w *world) string // skips the test where the program is missing
	// confined programs listen on all addresses, or find each other by multicast, or refuse peers on 127.0.0.0/8: they run
	// in a network namespace.
	confined bool
	shows    map[string]proof
}

// clients are in the order of the table.
var clients = []client{
	{name: "aria2", version: aria2Version, shows: map[string]proof{
		takesPeers: guest.aria2Peers, takesWebseed: guest.aria2Webseed, takesMagnet: guest.aria2Magnet,
	}},
	{name: "libtorrent", version: libtorrentVersion, shows: map[string]proof{
		takesPeers: guest.libtorrentPeers, takesWebseed: guest.libtorrentWebseed, takesMagnet: guest.libtorrentMagnet, takesHybrid: guest.libtorrentPeers,
		seedsToUs: guest.libtorrentSeeds, speaksDHT: guest.libtorrentPointer,
	}},
	{name: "qBittorrent", version: qbittorrentVersion, confined: true, shows: map[string]proof{
		takesPeers: guest.qbittorrentPeers, takesWebseed: guest.qbittorrentWebseed, takesMagnet: guest.qbittorrentMagnet, takesHybrid: guest.qbittorrentPeers,
		seedsToUs: guest.qbittorrentSeeds,
	}},
	{name: "Transmission", version: transmissionVersion, confined: true, shows: map[string]proof{
		takesPeers: guest.transmissionPeers, takesWebseed: guest.transmissionWebseed, takesMagnet: guest.transmissionMagnet,
		seedsToUs: guest.transmissionSeeds,
	}},
	{name: "rTorrent", version: rtorrentVersion, confined: true, shows: map[string]proof{
		takesPeers: guest.rtorrentPeers, takesMagnet: guest.rtorrentMagnet, takesHybrid: guest.rtorrentPeers, seedsToUs: guest.rtorrentSeeds,
	}},
}

// guest is what a proof works with: a swarm with one complete mirror, and a client beside it.
type guest struct {
	*world
	pub published
	// mirror is the one that clients are told of, and seed its address.
	mirror *stack.Process
	seed   string
	// ip is where clients listen.
	ip string
}

// TestForeignClients lets the programs that can be kept on loopback take part in the swarm.
func TestForeignClients(t *testing.T) { foreignClients(t, false, "127.0.0.1", "127.0.0.1") }

// TestForeignClientsConfined does so with those that cannot, in a namespace that they cannot leave.
func TestForeignClientsConfined(t *testing.T) {
	if !inNamespace() {
		runInNamespace(t)
		return
	}
	foreignClients(t, true, ourIP, theirIP)
}

// foreignClients has a swarm with a v1 torrent, and then one with a hybrid.
func foreignClients(t *testing.T, confined bool, ours, theirs string) {
	for _, format := range []string{"v1", "hybrid"} {
		t.Run(format, func(t *testing.T) {
			w := newWorld(t)
			_, pub := w.produce(w.ledger(12<<20), stack.Env{"TORRENT_FORMAT": format})
			addr := w.freeAddr(ours)
			g := guest{world: w, pub: pub, mirror: w.mirror("mirror", stack.Env{"LISTEN_ADDR": addr}), seed: addr, ip: theirs}
			t.Run("all", func(t *testing.T) { // ends when the parallel ones have ended, before the world does
				for _, c := range clients {
					if c.confined == confined {
						t.Run(c.name, func(t *testing.T) {
							t.Parallel()
							c.prove(t, g)
						})
					}
				}
			})
		})
	}
}

// prove runs all that c is said to show with the torrent of g.
func (c client) prove(t *testing.T, g guest) {
	tested := c.version(g.in(t))
	if row := readmeRow(t, c.name); row.version != tested {
		note := t.Logf
		if os.Getenv("CI") == "true" {
			note = t.Errorf
		}
		note("README.md speaks of %s %q, this is %q", c.name, row.version, tested)
	}
	for _, column := range slices.Sorted(maps.Keys(c.shows)) {
		if g.pub.Torrent.HasV2() != (column == takesHybrid) {
			continue
		}
		t.Run(column, func(t *testing.T) {
			t.Parallel() // they wait more than they work
			g := g
			g.world = g.in(t)
			c.shows[column](g)
		})
	}
}

// freeAddr is an address of ip, which is one of this machine, with a free port.
func (w *world) freeAddr(ip string) string {
	w.t.Helper()
	addr, err := stack.FreeAddr(w.ctx)
	w.ok(err)
	return strings.Replace(addr, "127.0.0.1", ip, 1)
}

// versionNumber is what programs say among other words.
var versionNumber = regexp.MustCompile(`\d+\.\d+(\.\d+)*`)

// versionOf runs a program that tells its version.
func (w *world) versionOf(path string, args ...string) string {
	w.t.Helper()
	out, err := exec.CommandContext(w.ctx, path, args...).CombinedOutput() // Transmission says it on stderr, rTorrent fails
	version := versionNumber.FindString(string(out))
	if version == "" {
		w.t.Fatalf("%s %q: %q, %v; want a version", path, args, out, err)
	}
	return version
}

// tracker names peers to everybody who asks (BEP 3, BEP 23).
func (w *world) tracker(peers ...string) (announce string) {
	var compact []byte
	for _, p := range peers {
		addr := netip.MustParseAddrPort(p)
		compact = binary.BigEndian.AppendUint16(append(compact, addr.Addr().AsSlice()...), addr.Port())
	}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(out, "d8:intervali1800e5:peers%d:%se", len(compact), compact)
	}))
	w.t.Cleanup(server.Close)
	return server.URL + "/announce"
}

// byTracker is a file with the torrent without its webseeds, and with a tracker, which is the only way to peers.
func (g guest) byTracker(peers ...string) string {
	g.t.Helper()
	torrent, announce := *g.pub.Torrent, g.tracker(peers...)
	torrent.Origins = nil
	return g.file("peers.torrent", fmt.Sprintf("d8:announce%d:%s%s", len(announce), announce, torrent.Encode()[1:])) // the first of all keys
}

// fromMirror leads to the mirror and nobody else.
func (g guest) fromMirror() string { return g.byTracker(g.seed) }

// knowsNobody is for clients that shall seed and wait. It has a tracker because rTorrent drops a torrent without one.
func (g guest) knowsNobody() string { return g.byTracker() }

// webseedOnly is a file with the public torrent as it is: no tracker, no node, but the bucket.
func (g guest) webseedOnly() string {
	g.t.Helper()
	if len(g.pub.Torrent.Origins) == 0 || strings.Contains(string(g.pub.Torrent.Encode()), "8:announce") {
		g.t.Fatalf("the public torrent has the webseeds %q; want some, and no tracker", g.pub.Torrent.Origins)
	}
	return g.file("webseed.torrent", string(g.pub.Torrent.Encode()))
}

// magnet is a link with a tracker as the only way to a peer.
func (g guest) magnet() string {
	return "magnet:?xt=urn:btih:" + g.pub.Torrent.InfoHash.String() + "&tr=" + g.tracker(g.seed)
}

func (g guest) file(name, content string) string {
	g.t.Helper()
	path := filepath.Join(g.t.TempDir(), name)
	g.write(path, []byte(content), 0o644)
	return path
}

// arrives waits until dir has the whole archive.
func (g guest) arrives(c *child, dir string) {
	g.t.Helper()
	path := filepath.Join(dir, g.pub.file())
	c.until("complete", func() bool {
		if sizeOf(path) != g.pub.size() {
			return false
		}
		got, err := os.ReadFile(path)
		return err == nil && bytes.Equal(got, g.pub.archive)
	})
}

// stored is a folder with the whole archive, for a client to seed.
func (g guest) stored() string {
	g.t.Helper()
	dir := g.t.TempDir()
	g.write(filepath.Join(dir, g.pub.file()), g.pub.archive, 0o644)
	return dir
}

// takenFrom lets a new mirror get the snapshot from the client that listens at addr, and from nobody else: it reads the pointer
// and the torrent from the bucket, but no data, and knows no other peer.
func (g guest) takenFrom(addr string) {
	g.t.Helper()
	name := "from-" + sha1Of(g.t.Name()).String()[:8]
	e := g.once(name, alone(stack.Env{"SEED_PEERS": addr, "ORIGIN_POLICY": "never", "STALL_TIMEOUT": "30s"}))
	if e.code != 0 {
		g.t.Fatal(e)
	}
	g.same(strings.TrimSuffix(e.stdout, "\n"), g.pub.archive)
}

// starter starts a client that downloads a torrent to dir, or seeds it from there, and returns its address for peers.
type starter func(dir, torrent string) (c *child, peer string)

func (g guest) takes(start starter, torrent string) {
	g.t.Helper()
	dir := g.t.TempDir()
	c, _ := start(dir, torrent)
	g.arrives(c, dir)
}

func (g guest) seeds(start starter) {
	g.t.Helper()
	c, peer := start(g.stored(), g.knowsNobody())
	c.listens(peer)
	g.takenFrom(peer)
}
