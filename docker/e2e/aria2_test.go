//go:build e2e

package e2e_test

import (
	"net"
	"path/filepath"
	"slices"

	"snapswarm/common/bucket"
)

func aria2Version(w *world) string { return w.versionOf(need(w.t, "aria2c"), "--version") }

// aria2Alone keeps aria2c on loopback, without any way to find peers but those of the torrent.
var aria2Alone = []string{
	"--no-conf", "--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--disable-ipv6",
	"--interface=127.0.0.1", "--bt-stop-timeout=60",
}

// aria2Peers also looks at the mirror's own account.
func (g guest) aria2Peers() {
	uploaded := func() float64 { return g.metric(g.mirror, "snapswarm_mirror_uploaded_bytes_total") }
	before := uploaded()
	g.aria2(g.fromMirror())
	g.eventually("the mirror has counted what it gave", func() bool { return uploaded()-before >= float64(g.pub.size()) })
}

// aria2Webseed gives it the torrent by all addresses at which it is public.
func (g guest) aria2Webseed() {
	g.aria2(g.webseedOnly())
	g.aria2(g.BucketURL() + "/" + bucket.InfoHashKey(g.pub.Torrent.InfoHash))
	_, base := g.gateway("gateway", nil)
	g.aria2(base + "/" + g.Channel.Salt + "/latest/" + g.pub.file() + ".torrent")
	g.aria2(base + "/" + bucket.TorrentKey(g.Channel.Salt, g.pub.Version(), g.pub.file()))
}

func (g guest) aria2Magnet() { g.aria2(g.magnet()) }

// aria2 downloads a torrent, given by its file, address or magnet link.
func (g guest) aria2(torrent string) {
	g.t.Helper()
	dir := g.t.TempDir()
	_, port, err := net.SplitHostPort(g.freeAddr(g.ip))
	g.ok(err)
	must(g.t, g.ctx, dir, need(g.t, "aria2c"), slices.Concat(aria2Alone, []string{
		"--listen-port=" + port, "--seed-time=0", "--quiet", "--check-integrity", "--dir=" + dir, torrent,
	})...)
	g.same(filepath.Join(dir, g.pub.file()), g.pub.archive)
}
