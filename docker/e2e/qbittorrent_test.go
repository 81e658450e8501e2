//go:build e2e

package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

func qbittorrentVersion(w *world) string {
	return w.versionOf(need(w.t, "qbittorrent-nox"), "--version")
}

// qbittorrent is a running qBittorrent that is driven as its web page does.
type qbittorrent struct {
	*child
	peer string // where it takes peers
	api  string
}

// qbittorrentConfig has the peer's IP and port, the web page's port, and the folder for downloads.
const qbittorrentConfig = `[LegalNotice]
Accepted=true
[BitTorrent]
Session\Interface=lo
Session\InterfaceAddress=%[1]s
Session\Port=%[2]s
Session\DHTEnabled=false
Session\LSDEnabled=false
Session\DefaultSavePath=%[4]s
[Network]
PortForwardingEnabled=false
[Preferences]
WebUI\Enabled=true
WebUI\Address=127.0.0.1
WebUI\Port=%[3]s
WebUI\LocalHostAuth=false
`

// qbittorrent starts one that saves to dir.
func (g guest) qbittorrent(dir string) *qbittorrent {
	g.t.Helper()
	profile, peer, web := g.t.TempDir(), g.freeAddr(g.ip), g.freeAddr("127.0.0.1")
	_, peerPort, err := net.SplitHostPort(peer)
	g.ok(err)
	_, webPort, err := net.SplitHostPort(web)
	g.ok(err)
	g.write(filepath.Join(profile, "qBittorrent", "config", "qBittorrent.conf"), fmt.Appendf(nil, qbittorrentConfig, g.ip, peerPort, webPort, dir), 0o644)
	q := &qbittorrent{peer: peer, api: "http://" + web + "/api/v2/"}
	q.child = g.start(profile, need(g.t, "qbittorrent-nox"), "--profile="+profile)
	q.listens(web)
	return q
}

// add gives it a torrent: a file, or fields that say where it is.
func (q *qbittorrent) add(fields url.Values, torrent string) {
	q.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, values := range fields {
		q.ok(form.WriteField(name, values[0]))
	}
	if torrent != "" {
		b, err := os.ReadFile(torrent)
		q.ok(err)
		part, err := form.CreateFormFile("torrents", filepath.Base(torrent))
		q.ok(err)
		_, err = part.Write(b)
		q.ok(err)
	}
	q.ok(form.Close())
	req, err := http.NewRequestWithContext(q.ctx, http.MethodPost, q.api+"torrents/add", &body)
	q.ok(err)
	req.Header.Set("Content-Type", form.FormDataContentType())
	resp, err := http.DefaultClient.Do(req)
	q.ok(err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	q.ok(err)
	if resp.StatusCode != http.StatusOK || string(answer) != "Ok." {
		q.t.Fatalf("qBittorrent: torrents/add: %s %s", resp.Status, answer)
	}
}

// list is what the web API says of all torrents.
func (q *qbittorrent) list() string {
	q.t.Helper()
	status, _, body := q.get(q.api + "torrents/info")
	if status != http.StatusOK {
		q.t.Fatalf("qBittorrent: torrents/info: %d %s", status, body)
	}
	return string(body)
}

func (g guest) qbittorrentPeers()   { g.qbittorrentTakes(nil, g.fromMirror()) }
func (g guest) qbittorrentWebseed() { g.qbittorrentTakes(nil, g.webseedOnly()) }
func (g guest) qbittorrentMagnet()  { g.qbittorrentTakes(url.Values{"urls": {g.magnet()}}, "") }

func (g guest) qbittorrentTakes(fields url.Values, torrent string) {
	g.t.Helper()
	dir := g.t.TempDir()
	q := g.qbittorrent(dir)
	q.add(fields, torrent)
	g.arrives(q.child, dir)
}

func (g guest) qbittorrentSeeds() {
	q := g.qbittorrent(g.stored())
	q.add(nil, g.knowsNobody())
	q.until("seeding", func() bool {
		state := q.list()
		return strings.Contains(state, `"progress":1,`) && (strings.Contains(state, `"state":"stalledUP"`) || strings.Contains(state, `"state":"uploading"`))
	})
	g.takenFrom(q.peer)
}
