//go:build e2e

package e2e_test

import (
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/docker/stack"
)

// TestAMirrorFindsItsPeerAgain stops a mirror in the middle and takes everything from it by which it found the seed: SEED_PEERS, DHT
// and bucket. What it has on disk is enough to get the rest.
func TestAMirrorFindsItsPeerAgain(t *testing.T) {
	w := newWorld(t)
	producer, pub := w.produce(w.ledger(12<<20), nil)
	m, err := w.Mirror(w.ctx, "mirror", stack.Env{"ORIGIN_POLICY": "never", "DOWNLOAD_LIMIT": "2MiB"})
	w.ok(err)
	w.eventually("it has a part", func() bool { peers, _ := w.received(m); return peers > 1<<20 })
	w.ok(m.Stop())
	if sizeOf(w.held(m, pub)) != 0 && strings.Contains(w.text(w.Dir(), "mirror.log"), "snapshot complete") {
		t.Fatal("the mirror was complete before it was stopped, so this shows nothing")
	}
	w.ok(w.S3.Close())

	m = w.mirror("mirror", alone(stack.Env{"BUCKET_URL": "", "ORIGIN_POLICY": "never"}))
	w.same(w.held(m, pub), pub.archive)
	if peers, _ := w.received(m); peers == 0 {
		t.Error("the mirror got nothing from the peer of before")
	}
	w.ok(producer.Stop())
}

// TestABlockedMirror shows IP_BLOCKLIST at work in a producer, against peers of this machine.
func TestABlockedMirror(t *testing.T) {
	w := newWorld(t)
	list := filepath.Join(t.TempDir(), "list")
	w.write(list, []byte("# all of us\nus:127.0.0.1-127.0.0.1\n"), 0o600)
	_, pub := w.produce(w.ledger(1<<20), stack.Env{"IP_BLOCKLIST": list})
	never := stack.Env{"ORIGIN_POLICY": "never"}
	if e := w.once("blocked", never); e.code != 20 {
		t.Errorf("a mirror that the only seed blocks: %s; want 20", e)
	}
	e := w.once("blocked", nil) // the bucket is nobody's peer
	if e.code != 0 {
		t.Fatal(e)
	}
	w.same(strings.TrimSuffix(e.stdout, "\n"), pub.archive)
	w.write(list, []byte("nonsense\n"), 0o600)
	e = w.once("mistaken", stack.Env{"IP_BLOCKLIST": list})
	if e.code != 2 || !strings.Contains(e.stderr, "IP_BLOCKLIST") || !strings.Contains(e.stderr, "line 1") {
		t.Errorf("a broken list: %s; want 2, and the line", e)
	}
}
