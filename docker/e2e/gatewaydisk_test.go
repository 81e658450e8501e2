//go:build e2e && linux

package e2e_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/common/needs"
	"snapswarm/docker/stack"
)

// fullGateway is a gateway whose disk somebody else fills.
type fullGateway struct {
	*world
	p       *stack.Process
	url     string
	ballast string
}

// TestGatewayOnAFullDisk lets a gateway meet a snapshot that does not fit, and a disk that fills up while it fetches: it says what is
// missing, serves what it has, never a wrong byte, and goes on by itself.
func TestGatewayOnAFullDisk(t *testing.T) {
	w := newWorld(t)
	small := w.publish("small.zst", random(7, 1<<20))
	dir := needs.SmallDisk(t, "200m")
	p, url := w.gateway("gateway", alone(stack.Env{"DATA_DIR": dir, "DOWNLOAD_LIMIT": "3MiB"}))
	g := &fullGateway{w, p, url, filepath.Join(dir, "ballast")}
	g.serves(small)

	w.write(g.ballast, random(8, 130<<20), 0o600)
	big := w.publish("big.zst", random(9, 24<<20))
	g.hasNoRoom(big, small)
	w.ok(os.Remove(g.ballast))
	w.eventually("a part of it is there", func() bool {
		missing := w.metric(p, "snapswarm_gateway_latest_missing_bytes")
		return missing > 0 && missing < float64(big.size()-4<<20)
	})
	w.fill(g.ballast)
	g.pauses(big, small)
	w.ok(os.Remove(g.ballast))
	g.serves(big)
	if n := strings.Count(w.log(p), "fetching pauses"); n != 1 {
		t.Errorf("the log says %d times that fetching pauses, want once", n)
	}
	w.same(filepath.Join(dir, filepath.FromSlash(w.archiveKey(big))), big.archive)

	w.fill(g.ballast) // now its own small files cannot be written
	last := w.publish("last.zst", random(10, 1<<20))
	w.eventually("the log tells of the pointer", func() bool { return strings.Contains(w.log(p), "no newer pointer could be looked for") })
	g.serves(big)
	w.ok(os.Remove(g.ballast))
	g.serves(last)
	w.ok(p.Stop())
	g.p, _ = w.Again(p)
	g.serves(last)
}

// publish makes a version public without a process that goes on.
func (w *world) publish(name string, content []byte) published {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), strings.TrimSuffix(name, ".zst"))
	w.write(path, content, 0o644)
	if e := w.run("publisher", "producer", []string{"publish", path, "--name", name}, nil); e.code != 0 {
		w.t.Fatal(e)
	}
	pub, err := w.Newest(w.ctx)
	w.ok(err)
	return published{pub, w.object(bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.Torrent.Name))}
}

func (w *world) archiveKey(pub published) string {
	return bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.file())
}

// serves waits until latest is pub and complete. Until then its readers are told to come back, or are served.
func (g *fullGateway) serves(pub published) {
	g.t.Helper()
	g.eventually("latest is "+pub.file(), func() bool { return strings.Contains(g.status(g.p), pub.version()+", ") })
	g.eventually("a reader of "+pub.file()+" is served", func() bool { return g.read(pub) })
	g.eventually("it is complete", func() bool { return strings.Contains(g.status(g.p), pub.version()+", 100 % here") })
	g.eventually("nothing is wrong any more", func() bool {
		return g.metric(g.p, "snapswarm_gateway_ready") == 1 && g.metric(g.p, "snapswarm_gateway_faults") == 0
	})
}

// read reports whether a reader gets the version. What he gets is right in any case.
func (g *fullGateway) read(pub published) bool {
	g.t.Helper()
	resp, err := http.Get(g.url + "/" + g.archiveKey(pub)) //nolint:noctx // the end of the gateway ends it
	g.ok(err)
	defer resp.Body.Close()
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body)
	switch {
	case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
		return false
	case resp.StatusCode != http.StatusOK || !bytes.HasPrefix(pub.archive, body.Bytes()):
		g.t.Fatalf("version %s is served with %d and %d bytes, not all of them right", pub.version(), resp.StatusCode, body.Len())
	}
	return err == nil && body.Len() == len(pub.archive) // else it was cut off, and the reader knows
}

// hasNoRoom expects that the snapshot is not begun, with the figures, and the one before is served on.
func (g *fullGateway) hasNoRoom(big, before published) {
	g.t.Helper()
	g.eventually("it says that it does not fit", func() bool {
		s := g.status(g.p)
		return strings.Contains(s, before.version()+", 100 % here") && strings.Contains(s, "it needs 24") && strings.Contains(s, "are free")
	})
	if faults := g.metric(g.p, "snapswarm_gateway_faults"); faults != 1 || g.metric(g.p, "snapswarm_gateway_ready") != 1 {
		g.t.Errorf("%v faults, want 1, and to be ready", faults)
	}
	if _, header, body := g.get(g.url + "/" + g.Channel.Salt + "/latest/" + before.file()); !bytes.Equal(body, before.archive) {
		g.t.Errorf("latest is %d bytes (%v), want those of %s", len(body), header, before.version())
	}
	if _, err := os.Stat(filepath.Dir(filepath.Join(g.ballast, "..", g.archiveKey(big)))); err == nil {
		g.t.Error("the snapshot that does not fit was begun")
	}
}

// pauses expects that fetching stands still, with the figures, and what is here is served.
func (g *fullGateway) pauses(big, before published) {
	g.t.Helper()
	g.eventually("it is not ready", func() bool {
		s := g.status(g.p)
		return strings.Contains(s, "no space left") && strings.Contains(s, "bytes missing") && strings.Contains(s, "bytes free") &&
			g.metric(g.p, "snapswarm_gateway_ready") == 0 && g.metric(g.p, "snapswarm_gateway_faults") == 1
	})
	if !g.read(before) {
		g.t.Error("the version before is not served")
	}
	if g.read(big) {
		g.t.Error("all of a version is served that is not here")
	}
}
