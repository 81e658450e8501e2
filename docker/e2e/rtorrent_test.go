//go:build e2e

package e2e_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

func rtorrentVersion(w *world) string { return w.versionOf(need(w.t, "rtorrent"), "-h") }

// rtorrentConfig has the peer's IP and port, folders for downloads and state, and what to load.
const rtorrentConfig = `system.daemon.set = true
network.bind_address.set = %[1]s
network.port_range.set = %[2]s-%[2]s
network.port_random.set = no
dht.mode.set = disable
protocol.pex.set = no
trackers.use_udp.set = no
directory.default.set = %[3]q
session.path.set = %[4]q
schedule2 = load, 0, 0, ((load.start, %[5]q))
`

// rtorrent starts an rTorrent for one torrent, which it downloads to dir, or seeds from there.
func (g guest) rtorrent(dir, torrent string) (c *child, peer string) {
	g.t.Helper()
	home, peer := g.t.TempDir(), g.freeAddr(g.ip)
	_, port, err := net.SplitHostPort(peer)
	g.ok(err)
	session, config := filepath.Join(home, "session"), filepath.Join(home, "rtorrent.rc")
	g.ok(os.Mkdir(session, 0o755))
	g.write(config, fmt.Appendf(nil, rtorrentConfig, g.ip, port, dir, session, torrent), 0o644)
	return g.start(home, need(g.t, "rtorrent"), "-n", "-o", "import="+config), peer
}

func (g guest) rtorrentPeers()  { g.takes(g.rtorrent, g.fromMirror()) }
func (g guest) rtorrentMagnet() { g.takes(g.rtorrent, g.magnet()) }

func (g guest) rtorrentSeeds() { g.seeds(g.rtorrent) }
