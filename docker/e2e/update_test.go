//go:build e2e

package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/docker/stack"
)

// TestANewVersion publishes a second version while the first is being downloaded. Nobody who began with the first must
// notice, and nobody who asks for latest may get it after the second is there.
func TestANewVersion(t *testing.T) {
	w := newWorld(t)
	curl := need(t, "curl")
	source := w.ledger(24 << 20) // far more than the kernel buffers for a slow reader
	producer, one := w.produce(source, nil)
	// Slow enough to look at it while the second version is on its way.
	mirror := w.mirror("mirror", stack.Env{"DOWNLOAD_LIMIT": "4MiB", "RETAIN": "1"})
	_, base := w.gateway("gateway", nil)
	first := base + "/" + bucket.ArchiveKey(w.Channel.Salt, one.Version(), one.file())
	latest := base + "/" + w.Channel.Salt + "/latest/" + one.file()

	// About as long as everything that follows.
	dir := t.TempDir()
	slow := exec.CommandContext(w.ctx, curl, "-sSfO", "--limit-rate", "2M", first)
	slow.Dir = dir
	w.ok(slow.Start())
	part := filepath.Join(dir, one.file())
	w.eventually("curl has begun", func() bool { return sizeOf(part) > 0 })

	w.write(filepath.Join(source, "data.ldb"), random(2, 10<<20), 0o644)
	two := w.published(producer, one.Record.Seq)
	if two.Torrent.Description.Previous != one.Torrent.InfoHash || two.file() != one.file() || two.version() <= one.version() {
		t.Errorf("the second version is %s %s after %s, want the one after %s of the same name", two.version(), two.file(), two.Torrent.Description.Previous, one.version())
	}

	w.eventually("latest has moved", func() bool {
		_, h, _ := w.request(http.MethodHead, latest)
		return strings.Contains(h.Get("Content-Location"), two.version())
	})
	if sizeOf(part) >= one.size() {
		t.Error("curl was done before latest moved, so this shows nothing of a running download")
	}
	w.eventually("the mirror is in the middle of the second version", func() bool {
		status := w.status(mirror)
		if strings.Contains(status, "seeding "+two.version()) {
			t.Fatalf("the second version came too fast to look at: %s", status)
		}
		return strings.Contains(status, "downloading "+two.version()) && !strings.Contains(status, "; 0% of")
	})
	if versions := w.metric(mirror, "snapswarm_mirror_versions"); versions != 1 {
		t.Errorf("the mirror has %g complete versions while it downloads, want the first", versions)
	}
	w.same(w.held(mirror, one), one.archive)
	w.complete(mirror, 2)
	w.same(w.held(mirror, two), two.archive)
	t.Run("the first is seeded after the second is complete", func(t *testing.T) { w.in(t).libtorrentPeer(mirror.PeerAddr, one) })

	must(t, w.ctx, dir, curl, "-sSfo", "new", latest)
	w.same(filepath.Join(dir, "new"), two.archive)
	must(t, w.ctx, dir, curl, "-sSfo", "old", first)
	w.same(filepath.Join(dir, "old"), one.archive)

	// What is here of the first must not be continued with the second.
	w.ok(os.WriteFile(filepath.Join(dir, "half"), one.archive[:one.size()/2], 0o600))
	if e := program(t, w.ctx, dir, curl, "-sSf", "-C", "-", "-o", "half", latest); e.code == 0 {
		t.Errorf("curl -C - joined two versions: %s", e)
	}
	w.same(filepath.Join(dir, "half"), one.archive[:one.size()/2])

	if err := slow.Wait(); err != nil {
		t.Errorf("the curl that began before: %v", err)
	}
	w.same(part, one.archive)
}
