//go:build e2e

package e2e_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/docker/stack"
)

// alone is a process that knows nobody: no peer, no DHT.
func alone(more stack.Env) stack.Env {
	env := stack.Env{"SEED_PEERS": "", "DHT_BOOTSTRAP": "none"}
	for k, v := range more {
		env[k] = v
	}
	return env
}

// TestFromTheBucketAloneAndOnFromThere starts a mirror that has nothing but BUCKET_URL, switches the storage and the
// publisher off, and starts another one that has nothing but the first.
func TestFromTheBucketAloneAndOnFromThere(t *testing.T) {
	w := newWorld(t)
	producer, pub := w.produce(w.ledger(6<<20), nil)

	second := w.mirror("second", alone(nil))
	w.same(w.held(second, pub), pub.archive)
	if peers, origin := w.received(second); peers != 0 || origin != pub.size() {
		t.Errorf("the second mirror got %d bytes from peers and %d from the bucket, want 0 and %d", peers, origin, pub.size())
	}

	w.ok(producer.Stop())
	w.ok(w.S3.Close())
	third := w.mirror("third", stack.Env{"SEED_PEERS": second.PeerAddr, "DHT_BOOTSTRAP": second.PeerAddr})
	w.same(w.held(third, pub), pub.archive)
	if peers, origin := w.received(third); peers != pub.size() || origin != 0 {
		t.Errorf("the third mirror got %d bytes from peers and %d from the bucket, want %d and 0", peers, origin, pub.size())
	}
	if e := w.once("fourth", alone(stack.Env{"BUCKET_URL": ""})); e.code != 2 {
		t.Errorf("a mirror that can ask nobody: %s; want 2", e)
	}
}

// TestAnotherGatewayStandsInForTheBucket gives a mirror nothing but a DHT that never answers, a server that hangs when it is asked
// for pointer or torrent, and somebody's gateway: everything comes from there.
func TestAnotherGatewayStandsInForTheBucket(t *testing.T) {
	w := newWorld(t)
	_, pub := w.produce(w.ledger(2<<20), nil)
	_, base := w.gateway("gateway", nil)
	silent, err := (&net.ListenConfig{}).ListenPacket(w.ctx, "udp4", "127.0.0.1:0")
	w.ok(err)
	defer silent.Close()
	hung := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/pointer") || strings.HasPrefix(r.URL.Path, "/torrents/") {
			<-r.Context().Done()
		}
		http.NotFound(rw, r)
	}))
	defer hung.Close()

	e := w.once("once", stack.Env{"SEED_PEERS": "", "DHT_BOOTSTRAP": silent.LocalAddr().String(), "BUCKET_URL": hung.URL + "," + base})
	if e.code != 0 {
		t.Fatalf("mirror --once: %s", e)
	}
	w.same(strings.TrimSpace(e.stdout), pub.archive)
}

// held is where a mirror or gateway keeps an archive.
func (w *world) held(p *stack.Process, pub published) string {
	return filepath.Join(p.DataDir, filepath.FromSlash(bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.file())))
}

// TestServedByPeersWhenTheBucketIsOff has a mirror as the only one with the data. Gateways serve it: one that was in the
// middle of its own download, and one that starts afterwards and finds everything through the DHT.
func TestServedByPeersWhenTheBucketIsOff(t *testing.T) {
	w := newWorld(t)
	curl := need(t, "curl")
	producer, pub := w.produce(w.ledger(6<<20), nil)
	w.mirror("mirror", nil)
	path := "/" + bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.file())
	running, warm := w.gateway("warm", stack.Env{"DOWNLOAD_LIMIT": "2MiB"})
	if left := w.metric(running, "snapswarm_gateway_latest_missing_bytes"); left == 0 {
		t.Error("the gateway had everything before the bucket was off, so this shows nothing")
	}
	w.ok(producer.Stop())
	w.ok(w.S3.Close())

	cold, coldURL := w.gateway("cold", stack.Env{"SEED_PEERS": ""})
	for name, base := range map[string]string{"in the middle": warm, "afterwards": coldURL} {
		dir := t.TempDir()
		must(t, w.ctx, dir, curl, "-sSfO", base+path)
		w.same(filepath.Join(dir, pub.file()), pub.archive)
		must(t, w.ctx, dir, curl, "-sSfo", "latest", base+"/"+w.Channel.Salt+"/latest/"+pub.file())
		w.same(filepath.Join(dir, "latest"), pub.archive)
		if t.Failed() {
			t.Fatalf("the gateway that started %s did not serve it", name)
		}
	}
	if got := int64(w.metric(cold, "snapswarm_swarm_verified_bytes_total", `source="peers"`)); got != pub.size() {
		t.Errorf("the gateway that started afterwards got %d bytes from peers, want all %d", got, pub.size())
	}
}
