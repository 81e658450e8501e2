//go:build e2e

package e2e_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"snapswarm/common/bucket"
)

func hash(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// TestFromAFolderToCurl is the main job: a folder is published, mirrored and served, and what users get is the folder.
func TestFromAFolderToCurl(t *testing.T) {
	w := newWorld(t)
	source := w.ledger(12 << 20)
	producer, pub := w.produce(source, nil)
	mirror := w.mirror("mirror", nil)
	gateway, base := w.gateway("gateway", nil)
	latest := base + "/" + w.Channel.Salt + "/latest/" + pub.file()
	fixed := base + "/" + bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.file())

	t.Run("the pointer is in the DHT", func(t *testing.T) {
		records, err := w.Lookup(w.ctx, w.Channel)
		if err != nil || len(records) == 0 || !records[0].Equal(pub.Record) || records[0].Verify(w.Channel) != nil {
			t.Errorf("the DHT has %v, %v; want what the storage has", records, err)
		}
	})
	t.Run("curl", func(t *testing.T) { w.in(t).curl(latest, fixed, pub) })
	t.Run("wget", func(t *testing.T) { w.in(t).wget(latest, fixed, pub) })
	t.Run("HTTP", func(t *testing.T) { w.in(t).http(latest, fixed, pub) })
	t.Run("unpack with zstd and tar", func(t *testing.T) { w.in(t).unpack(fixed, pub, source) })
	t.Run("companions", func(t *testing.T) { w.in(t).companions(base, latest, fixed, pub) })
	t.Run("mirror --once --extract", func(t *testing.T) {
		w := w.in(t)
		e := w.once("once", nil, "--extract")
		if e.code != 0 {
			t.Fatal(e)
		}
		w.sameTree(strings.TrimSuffix(e.stdout, "\n"), source)
	})
	t.Run("SIGTERM ends each with 0 within 10 s", func(t *testing.T) {
		for _, p := range w.Processes() {
			if err := p.Stop(); err != nil {
				t.Error(err)
			}
		}
		for _, p := range []interface{ ExitCode() int }{producer, mirror, gateway} {
			if code := p.ExitCode(); code != 0 {
				t.Errorf("exit code %d", code)
			}
		}
	})
}

// curl downloads whole, killed and continued, and in the way that must fail.
func (w *world) curl(latest, fixed string, pub published) {
	curl, dir := need(w.t, "curl"), w.t.TempDir()
	part := filepath.Join(dir, pub.file())
	must(w.t, w.ctx, dir, curl, "-sSfO", latest)
	w.same(part, pub.archive)
	w.ok(os.Remove(part))

	// Killed on the way, and continued with the address that never changes.
	w.interrupt(exec.CommandContext(w.ctx, curl, "-sSfO", "--limit-rate", "12M", latest), part, pub.size()*2/5)
	before, err := os.ReadFile(part)
	w.ok(err)
	if n := int64(len(before)); n >= pub.size() {
		w.t.Fatalf("%d of %d bytes were there when curl was killed", n, pub.size())
	}

	// On latest the same would join two snapshots one day, so it is refused at once.
	if e := program(w.t, w.ctx, dir, curl, "-sSfO", "-C", "-", latest); e.code == 0 || !strings.Contains(e.stderr, "409") {
		w.t.Errorf("curl -C - on latest: %s; want a failure that says 409", e)
	}
	w.same(part, before)
	if e := program(w.t, w.ctx, dir, curl, "-sS", "-o", "advice", "-r", "100-", latest); e.code != 0 || !strings.Contains(w.text(dir, "advice"), fixed) {
		w.t.Errorf("a range of latest: %s\n%s\nwant the address to go on with, %s", e, w.text(dir, "advice"), fixed)
	}

	must(w.t, w.ctx, dir, curl, "-sSfO", "-C", "-", fixed)
	w.same(part, pub.archive)
	e := program(w.t, w.ctx, dir, curl, "-sSfOJ", "--output-dir", w.t.TempDir(), fixed)
	if e.code != 0 {
		w.t.Errorf("curl -OJ: %s", e)
	}
}

// interrupt runs a download and kills it when path has that many bytes.
func (w *world) interrupt(cmd *exec.Cmd, path string, bytes int64) {
	w.t.Helper()
	cmd.Dir = filepath.Dir(path)
	w.ok(cmd.Start())
	w.eventually("a part is there", func() bool { return sizeOf(path) >= bytes })
	w.ok(cmd.Process.Kill())
	_ = cmd.Wait() // it was killed, and says so
}

func (w *world) text(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (w *world) wget(latest, fixed string, pub published) {
	wget, dir := need(w.t, "wget"), w.t.TempDir()
	part := filepath.Join(dir, pub.file())
	must(w.t, w.ctx, dir, wget, "-q", latest)
	w.same(part, pub.archive)
	w.ok(os.Remove(part))
	w.interrupt(exec.CommandContext(w.ctx, wget, "-q", "--limit-rate=12m", latest), part, pub.size()*2/5)
	before, err := os.ReadFile(part)
	w.ok(err)
	if e := program(w.t, w.ctx, dir, wget, "-q", "-c", latest); e.code == 0 {
		w.t.Errorf("wget -c on latest: %s; want a failure", e)
	}
	w.same(part, before)
	must(w.t, w.ctx, dir, wget, "-q", "-c", fixed)
	w.same(part, pub.archive)
}

// http looks at what curl shows of ranges and conditions.
func (w *world) http(latest, fixed string, pub published) {
	curl, dir := need(w.t, "curl"), w.t.TempDir()
	n := pub.size()
	for _, r := range []struct {
		name, ask   string
		first, last int64
	}{
		{"first byte", "0-0", 0, 0},
		{"last byte", fmt.Sprintf("%d-%d", n-1, n-1), n - 1, n - 1},
		{"middle", "1000000-1999999", 1000000, 1999999},
		{"suffix", "-4097", n - 4097, n - 1},
		{"open end", strconv.FormatInt(n-10, 10) + "-", n - 10, n - 1},
		{"beyond the end", fmt.Sprintf("%d-%d", n-5, n+5), n - 5, n - 1},
	} {
		must(w.t, w.ctx, dir, curl, "-sSf", "-r", r.ask, "-o", "part", fixed)
		if got := w.text(dir, "part"); got != string(pub.archive[r.first:r.last+1]) {
			w.t.Errorf("%s: curl -r %s gave %d bytes, want those from %d to %d", r.name, r.ask, len(got), r.first, r.last)
		}
	}
	if e := program(w.t, w.ctx, dir, curl, "-sSf", "-r", strconv.FormatInt(n, 10)+"-", "-o", "none", fixed); e.code == 0 || !strings.Contains(e.stderr, "416") {
		w.t.Errorf("a range behind the end: %s; want 416", e)
	}
	tag := fmt.Sprintf("%q", fmt.Sprintf("%x", hash(pub.archive)))
	for _, url := range []string{latest, fixed} {
		head := strings.ToLower(must(w.t, w.ctx, dir, curl, "-sSfI", url))
		for _, field := range []string{"http/1.1 200", "content-length: " + strconv.FormatInt(n, 10), "accept-ranges: bytes", "etag: " + tag, "content-type: application/zstd"} {
			if !strings.Contains(head, field) {
				w.t.Errorf("HEAD %s lacks %q:\n%s", url, field, head)
			}
		}
		if status, _, body := w.get(url, "If-None-Match", tag); status != http.StatusNotModified || len(body) != 0 {
			w.t.Errorf("If-None-Match of %s: %d with %d bytes, want 304", url, status, len(body))
		}
		if status, _, body := w.get(url, "Range", "bytes=10-19", "If-Range", tag); status != http.StatusPartialContent || !bytes.Equal(body, pub.archive[10:20]) {
			w.t.Errorf("If-Range of %s: %d with %d bytes, want 206 with 10", url, status, len(body))
		}
	}
	if status, _, body := w.get(fixed, "Range", "bytes=10-19", "If-Range", `"another"`); status != http.StatusOK || !bytes.Equal(body, pub.archive) {
		w.t.Errorf("If-Range with another tag: %d with %d bytes, want 200 with all", status, len(body))
	}
	if _, h, _ := w.request(http.MethodHead, latest); !strings.HasSuffix(fixed, h.Get("Content-Location")) && h.Get("Content-Location") != fixed {
		w.t.Errorf("Content-Location of latest is %q, want %s", h.Get("Content-Location"), fixed)
	}
}

// unpack uses what everybody has.
func (w *world) unpack(fixed string, pub published, source string) {
	curl, zstd, tar := need(w.t, "curl"), need(w.t, "zstd"), need(w.t, "tar")
	dir, out := w.t.TempDir(), w.t.TempDir()
	must(w.t, w.ctx, dir, curl, "-sSfO", fixed)
	must(w.t, w.ctx, dir, zstd, "-q", "-d", pub.file(), "-o", "raw.tar")
	must(w.t, w.ctx, dir, tar, "-x", "-f", "raw.tar", "-C", out)
	w.sameTree(w.onlyIn(out), source)
}

// onlyIn is the one entry of a folder, or the folder itself if it has several.
func (w *world) onlyIn(dir string) string {
	entries, err := os.ReadDir(dir)
	w.ok(err)
	if len(entries) == 1 {
		return filepath.Join(dir, entries[0].Name())
	}
	return dir
}

// companions are what lies beside the file.
func (w *world) companions(base, latest, fixed string, pub published) {
	curl, sum, dir := need(w.t, "curl"), need(w.t, "sha256sum"), w.t.TempDir()
	must(w.t, w.ctx, dir, curl, "-sSfO", fixed)
	for _, url := range []string{latest, fixed} {
		must(w.t, w.ctx, dir, curl, "-sSf", "-o", "SUMS", url+".sha256")
		if out := must(w.t, w.ctx, dir, sum, "-c", "SUMS"); !strings.Contains(out, "OK") {
			w.t.Errorf("sha256sum -c: %s", out)
		}
		if magnet := must(w.t, w.ctx, dir, curl, "-sSf", url+".magnet"); !strings.Contains(magnet, "urn:btih:"+pub.Torrent.InfoHash.String()) {
			w.t.Errorf("the magnet link is %q, want one of %s", magnet, pub.Torrent.InfoHash)
		}
		if _, _, got := w.get(url + ".torrent"); !bytes.Equal(got, pub.Torrent.Encode()) {
			w.t.Errorf("%s.torrent is %q, want %q", url, got, pub.Torrent.Encode())
		}
	}
	for _, key := range []string{
		bucket.TorrentKey(w.Channel.Salt, pub.Version(), pub.file()), bucket.InfoHashKey(pub.Torrent.InfoHash), bucket.PointerKey(w.Channel.Salt),
	} {
		status, _, got := w.get(base + "/" + key)
		if want := w.object(key); status != http.StatusOK || !bytes.Equal(got, want) {
			w.t.Errorf("%s of the gateway: %d %q, want the %q of the storage", key, status, got, want)
		}
	}
	if status, _, body := w.get(base + "/torrents/" + strings.Repeat("ab", 20) + ".torrent"); status != http.StatusNotFound {
		w.t.Errorf("a torrent that nobody signed: %d %s, want 404", status, body)
	}
}
