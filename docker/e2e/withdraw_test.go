//go:build e2e

package e2e_test

import (
	"bytes"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/docker/stack"
)

// TestTakingAVersionBack withdraws the newest version while a mirror and a gateway follow. Both go back to the one before, newcomers get
// that one, too, and the next version is followed by all.
func TestTakingAVersionBack(t *testing.T) {
	w := newWorld(t)
	source := w.ledger(2 << 20)
	data := filepath.Join(source, "data.ldb")
	producer, one := w.produce(source, nil)
	mirror := w.mirror("mirror", nil)
	_, base := w.gateway("gateway", nil)
	w.write(data, random(2, 2<<20), 0o644)
	two := w.published(producer, one.Record.Seq)
	w.follow(mirror, base, two)
	w.ok(producer.Stop())

	e := w.run("producer", "producer", []string{"withdraw", one.version()}, stack.Env{"LOG_LEVEL": "error"})
	e.says(t, "producer", 2, one.version(), "the pointer names "+two.version())
	e = w.run("producer", "producer", []string{"withdraw", two.version()}, nil)
	if e.code != 0 || !strings.Contains(e.stdout, two.version()) || !strings.Contains(e.stdout, one.version()) {
		t.Fatalf("withdraw: %s", e)
	}
	back, err := w.Newest(w.ctx)
	w.ok(err)
	if back.Torrent.InfoHash != one.Torrent.InfoHash || back.Record.Seq <= two.Record.Seq {
		t.Errorf("the pointer names %s with number %d, want %s with more than %d", back.Version(), back.Record.Seq, one.version(), two.Record.Seq)
	}
	w.follow(mirror, base, one)
	if _, _, now := w.get(base + "/" + w.Channel.Salt + "/pointer"); !bytes.Equal(now, w.object(bucket.PointerKey(w.Channel.Salt))) {
		t.Error("the gateway shows another pointer than the bucket")
	}
	w.newcomer("newcomer", alone(nil), one)
	w.newcomer("fed-by-the-mirror", alone(stack.Env{"SEED_PEERS": mirror.PeerAddr, "ORIGIN_POLICY": "never"}), one)
	t.Run("what was begun goes on", func(t *testing.T) {
		w := w.in(t)
		status, _, body := w.get(base + "/" + bucket.ArchiveKey(w.Channel.Salt, two.Version(), two.file()))
		if status != http.StatusOK || !bytes.Equal(body, two.archive) {
			t.Errorf("the withdrawn version: status %d with %d bytes, want all %d", status, len(body), two.size())
		}
	})

	again, err := w.Again(producer)
	w.ok(err)
	w.ok(again.Ready(w.ctx)) // which it is not before it has looked at its source
	w.eventually("serve has looked at its source", func() bool {
		return strings.Contains(w.status(again), "publication: ")
	})
	w.write(data, random(3, 2<<20), 0o644)
	three := w.published(again, back.Record.Seq)
	if three.Torrent.Description.Previous != one.Torrent.InfoHash || three.version() <= two.version() {
		t.Errorf("the next version is %s after %s, want one after %s with a later name than %s",
			three.version(), three.Torrent.Description.Previous, one.Torrent.InfoHash, two.version())
	}
	w.follow(mirror, base, three)
	w.newcomer("newcomer", alone(nil), three)
}

// follow waits until a mirror seeds a version and a gateway's latest names it, and looks at the bytes of both.
func (w *world) follow(mirror *stack.Process, gateway string, pub published) {
	w.t.Helper()
	w.eventually("the mirror seeds "+pub.version(), func() bool {
		return strings.Contains(w.status(mirror), "seeding "+pub.version())
	})
	w.same(w.held(mirror, pub), pub.archive)
	latest := gateway + "/" + w.Channel.Salt + "/latest/" + pub.file()
	w.eventually("latest is "+pub.version(), func() bool {
		_, h, _ := w.request(http.MethodHead, latest)
		return strings.Contains(h.Get("Content-Location"), pub.version())
	})
	if status, _, body := w.get(latest); status != http.StatusOK || !bytes.Equal(body, pub.archive) {
		w.t.Errorf("latest of the gateway: status %d with %d bytes (%x), want %d (%x)", status, len(body), hash(body), pub.size(), hash(pub.archive))
	}
}

// newcomer gets the newest version by mirror --once, which has to be pub.
func (w *world) newcomer(name string, env stack.Env, pub published) {
	w.t.Helper()
	e := w.once(name, env)
	if e.code != 0 || !strings.Contains(e.stdout, pub.version()) {
		w.t.Fatalf("%s, who wants %s: %s", name, pub.version(), e)
	}
	w.same(strings.TrimSuffix(e.stdout, "\n"), pub.archive)
}
