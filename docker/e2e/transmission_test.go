//go:build e2e

package e2e_test

import (
	"fmt"
	"net"
	"path/filepath"
)

func transmissionVersion(w *world) string {
	return w.versionOf(need(w.t, "transmission-cli"), "--version")
}

// transmission starts a Transmission, without a daemon, for one torrent, which it downloads to dir, or seeds from there.
func (g guest) transmission(dir, torrent string) (c *child, peer string) {
	g.t.Helper()
	config, peer := g.t.TempDir(), g.freeAddr(g.ip)
	_, port, err := net.SplitHostPort(peer)
	g.ok(err)
	g.write(filepath.Join(config, "settings.json"), fmt.Appendf(nil, `{
		"bind-address-ipv4": %q, "bind-address-ipv6": "::1", "dht-enabled": false, "lpd-enabled": false, "utp-enabled": false,
		"port-forwarding-enabled": false, "cache-size-mb": 0
	}`, g.ip), 0o644)
	// It ends when it sees its torrent between the end of the check and the start, which it does on a busy machine.
	const starts = 20
	return g.startUpTo(starts, config, need(g.t, "transmission-cli"), "--config-dir", config, "--no-portmap", "--port", port, "--verify", "--download-dir", dir, torrent), peer
}

func (g guest) transmissionPeers()   { g.takes(g.transmission, g.fromMirror()) }
func (g guest) transmissionWebseed() { g.takes(g.transmission, g.webseedOnly()) }
func (g guest) transmissionMagnet()  { g.takes(g.transmission, g.magnet()) }

func (g guest) transmissionSeeds() { g.seeds(g.transmission) }
