//go:build e2e && linux

package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/common/needs"
	"snapswarm/docker/stack"
)

// TestFullDisks lets each command meet a disk that is too small, and one that fills up on the way.
func TestFullDisks(t *testing.T) {
	w := newWorld(t)
	source := w.ledger(1 << 20)
	if e := w.run("publisher", "producer", []string{"publish", source}, nil); e.code != 0 {
		t.Fatal(e)
	}
	before := w.object(bucket.PointerKey(w.Channel.Salt))
	big := filepath.Join(t.TempDir(), "big")
	w.write(big, random(5, 24<<20), 0o644)

	t.Run("producer", func(t *testing.T) {
		w := w.in(t)
		dir := needs.SmallDisk(t, "12m")
		w.run("publisher", "producer", []string{"publish", big}, stack.Env{"DATA_DIR": dir, "LOG_LEVEL": "error"}).says(t, "producer", 30, dir)
		w.unchanged(before)
	})
	t.Run("producer from a stream of unknown size", func(t *testing.T) {
		w := w.in(t)
		dir := needs.SmallDisk(t, "12m")
		env := w.publisherEnv()
		env["DATA_DIR"], env["LOG_LEVEL"], env["NAME"] = dir, "error", "big.zst"
		w.shell(t.TempDir(), "producer publish - < "+big, env).says(t, "producer", 30, "space")
		w.unchanged(before)
		if left := w.largeIn(dir); left != "" {
			t.Errorf("%s was left on the full disk", left)
		}
	})
	t.Run("a directory as the bucket", func(t *testing.T) {
		w := w.in(t)
		dir := needs.SmallDisk(t, "12m")
		e := w.run("publisher", "producer", []string{"publish", big}, stack.Env{"BUCKET": "file://" + dir, "PUBLIC_URL": "", "LOG_LEVEL": "error"})
		e.says(t, "producer", 30, dir)
	})

	if e := w.run("publisher", "producer", []string{"publish", big, "--name", "ledger.tar.zst"}, nil); e.code != 0 {
		t.Fatal(e)
	}
	t.Run("mirror", func(t *testing.T) {
		w := w.in(t)
		dir := needs.SmallDisk(t, "12m")
		w.once("small", alone(stack.Env{"DATA_DIR": dir, "LOG_LEVEL": "error"})).says(t, "mirror", 30, "needs", "free")
	})
	t.Run("mirror, on the way, and when there is room again", func(t *testing.T) { w.in(t).fillsUp() })
	t.Run("gateway, on the way, and when there is room again", func(t *testing.T) { w.in(t).fillsUpAGateway() })
	t.Run("mirror, while it unpacks", func(t *testing.T) {
		w := w.in(t)
		dir := needs.SmallDisk(t, "100m") // enough for the archive, not for its content beside it
		w.once("small", alone(stack.Env{"DATA_DIR": dir, "LOG_LEVEL": "error"}), "--extract").says(t, "mirror", 30, "needs", "free")
	})
}

// fillsUp is a mirror whose disk is filled by somebody else while it downloads.
func (w *world) fillsUp() {
	dir := needs.SmallDisk(w.t, "120m")
	env := alone(stack.Env{"DATA_DIR": dir, "DOWNLOAD_LIMIT": "4MiB"})
	mirror, err := w.Mirror(w.ctx, "filled", env)
	w.ok(err)
	w.eventually("a part is there", func() bool { return w.metric(mirror, "snapswarm_mirror_snapshot_completed_bytes") > 4<<20 })
	ballast := filepath.Join(dir, "ballast")
	w.fill(ballast)
	w.eventually("the mirror says that the disk is full", func() bool { return strings.Contains(w.status(mirror), "no space left") })
	w.ok(os.Remove(ballast))
	w.complete(mirror, 1)
	pub, err := w.Newest(w.ctx)
	w.ok(err)
	w.same(filepath.Join(dir, filepath.FromSlash(bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.Torrent.Name))),
		w.object(bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.Torrent.Name)))
	w.ok(mirror.Stop())
}

// fillsUpAGateway is fillsUp with a gateway and somebody who reads through it. Nobody is left waiting while the disk is full; when there
// is room again, the gateway completes the version by itself, and the reader goes on where the transfer was cut off.
func (w *world) fillsUpAGateway() {
	dir := needs.SmallDisk(w.t, "120m")
	pub, err := w.Newest(w.ctx)
	w.ok(err)
	key := bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.Torrent.Name)
	gateway, base := w.gateway("filled-gateway", alone(stack.Env{"DATA_DIR": dir, "DOWNLOAD_LIMIT": "4MiB"}))
	url := base + "/" + key
	body := w.begin(url)
	first := make([]byte, 4<<20)
	_, err = io.ReadFull(body, first)
	w.ok(err)
	ballast := filepath.Join(dir, "ballast")
	w.fill(ballast)
	w.notReady(gateway, "no space left")
	more, err := io.ReadAll(body)
	part := slices.Concat(first, more)
	if err == nil {
		w.t.Errorf("the transfer of %d bytes seemed complete on a full disk", len(part))
	}
	if status, h, text := w.get(url, "Range", fmt.Sprintf("bytes=%d-", len(part))); status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" {
		w.t.Errorf("who asks for what is not here gets %d, Retry-After %q: %s", status, h.Get("Retry-After"), text)
	}

	w.ok(os.Remove(ballast))
	w.eventually("the gateway has all", func() bool { return strings.Contains(w.status(gateway), "100 % here") })
	status, _, rest := w.get(url, "Range", fmt.Sprintf("bytes=%d-", len(part)))
	if all := slices.Concat(part, rest); status != http.StatusPartialContent || !bytes.Equal(all, w.object(key)) {
		w.t.Errorf("going on after %d bytes: status %d, %d of %d bytes (%x)", len(part), status, len(all), pub.Torrent.Length, hash(all))
	}
	w.same(filepath.Join(dir, filepath.FromSlash(key)), w.object(key))
	w.ok(gateway.Stop())
}

// fill takes all space that is left.
func (w *world) fill(path string) {
	w.t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	w.ok(err)
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 64<<10))
	}
}

// largeIn is a large file below dir, "" if there is none.
func (w *world) largeIn(dir string) (found string) {
	w.ok(filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && sizeOf(path) > 1<<20 {
			found = path
		}
		return err
	}))
	return found
}
