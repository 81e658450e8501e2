//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/docker/stack"
)

// limit is how long one test may take; the usual is a tenth of it, but what failed is tried again only after minutes.
const limit = 5 * time.Minute

// world is a swarm for one test.
type world struct {
	*stack.Stack
	t   *testing.T
	ctx context.Context //nolint:containedctx // that of the test, with its limit
}

// newWorld starts storage and DHT. At the end of the test everything is stopped, and a process that does not end as asked
// fails it.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, "demo")
}

// newWorldOf is newWorld with another channel.
func newWorldOf(t *testing.T, salt string) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	s, err := stack.Start(ctx, stack.Config{Dir: filepath.Join(t.TempDir(), "swarm"), Bin: bin, Salt: salt})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Stack: s, t: t, ctx: ctx}
	t.Cleanup(w.close)
	return w
}

func (w *world) close() {
	if err := w.Close(); err != nil {
		w.t.Error(err)
	}
	if w.t.Failed() {
		for _, p := range w.Processes() {
			w.t.Logf("the end of %s:\n%s", p.LogFile, p.Tail())
		}
	}
}

// in is the world with another test as the one that fails: a part of the same.
func (w *world) in(t *testing.T) *world { return &world{Stack: w.Stack, t: t, ctx: w.ctx} }

// ok ends the test if err is one.
func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// published is a version that a producer has made public, and its bytes as they lie in the storage.
type published struct {
	stack.Publication
	archive []byte
}

func (p published) version() string { return string(p.Version()) }
func (p published) file() string    { return p.Torrent.Name }
func (p published) size() int64     { return p.Torrent.Length }

// produce starts a producer of a source and waits for its first version.
func (w *world) produce(source string, extra stack.Env) (*stack.Process, published) {
	w.t.Helper()
	p, err := w.Producer(w.ctx, "producer", source, extra)
	w.ok(err)
	pub := w.published(p, 0)
	w.ok(p.Ready(w.ctx))
	return p, pub
}

// published waits for a version newer than the pointer seq.
func (w *world) published(by *stack.Process, seq int64) published {
	w.t.Helper()
	pub, err := w.Published(w.ctx, by, seq)
	w.ok(err)
	return published{pub, w.object(bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.Torrent.Name))}
}

// object is the content of an object of the storage.
func (w *world) object(key string) []byte {
	w.t.Helper()
	status, _, body := w.get(w.BucketURL() + "/" + key)
	if status != http.StatusOK {
		w.t.Fatalf("GET %s of the storage: %d %s", key, status, body)
	}
	return body
}

// mirror starts one and waits until it has complete versions.
func (w *world) mirror(name string, extra stack.Env) *stack.Process {
	w.t.Helper()
	p, err := w.Mirror(w.ctx, name, extra)
	w.ok(err)
	w.complete(p, 1)
	return p
}

// complete waits until a mirror has that many complete versions and seeds the newest.
func (w *world) complete(p *stack.Process, versions int) {
	w.t.Helper()
	w.ok(p.Until(w.ctx, "complete", func(ctx context.Context) bool {
		return w.metric(p, "snapswarm_mirror_versions") >= float64(versions) && strings.Contains(w.status(p), "seeding ")
	}))
}

// gateway starts one and waits until it can serve.
func (w *world) gateway(name string, extra stack.Env) (*stack.Process, string) {
	w.t.Helper()
	addr, err := stack.FreeAddr(w.ctx)
	w.ok(err)
	p, err := w.Gateway(w.ctx, name, addr, extra)
	w.ok(err)
	w.ok(p.Ready(w.ctx))
	return p, "http://" + addr
}

// metric is 0 while the process does not answer.
func (w *world) metric(p *stack.Process, name string, labels ...string) float64 {
	v, err := p.Metric(w.ctx, name, labels...)
	if err != nil {
		return 0
	}
	return v
}

// status is what the process says of itself, "" while it does not answer.
func (w *world) status(p *stack.Process) string {
	s, err := p.Status(w.ctx)
	if err != nil {
		return ""
	}
	return s
}

// received is how many verified bytes a mirror got from peers and from the storage.
func (w *world) received(p *stack.Process) (peers, origin int64) {
	return int64(w.metric(p, "snapswarm_mirror_received_bytes_total", `source="peers"`)),
		int64(w.metric(p, "snapswarm_mirror_received_bytes_total", `source="origin"`))
}

// get is a GET with header fields, name and value in turn.
func (w *world) get(url string, header ...string) (status int, h http.Header, body []byte) {
	w.t.Helper()
	return w.request(http.MethodGet, url, header...)
}

func (w *world) request(method, url string, header ...string) (status int, h http.Header, body []byte) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.ctx, method, url, nil)
	w.ok(err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	w.ok(err)
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	w.ok(err)
	return resp.StatusCode, resp.Header, body
}

// unchanged fails unless the storage has this pointer.
func (w *world) unchanged(pointer []byte) {
	w.t.Helper()
	if now := w.object(bucket.PointerKey(w.Channel.Salt)); !bytes.Equal(now, pointer) {
		w.t.Errorf("the pointer is %q, was %q", now, pointer)
	}
}

// eventually polls until is true.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-w.ctx.Done():
			w.t.Fatalf("wait until %s: %v", what, context.Cause(w.ctx))
		case <-tick.C:
		}
	}
}

// once is a mirror that gets the newest version and ends. Runs of the same name use one folder.
func (w *world) once(name string, extra stack.Env, args ...string) ended {
	w.t.Helper()
	env := stack.Env{"METRICS_ADDR": "none", "POINTER_TIMEOUT": "5s", "STALL_TIMEOUT": "5s"}
	for k, v := range extra {
		env[k] = v
	}
	return w.run(name, "mirror", append([]string{"--once"}, args...), env)
}

// run runs one of the commands to its end.
func (w *world) run(name, command string, args []string, extra stack.Env) ended {
	w.t.Helper()
	r, err := w.Run(w.ctx, name, command, args, extra)
	w.ok(err)
	return ended{r.Code, r.Stdout, r.Stderr}
}

// random are n bytes that do not compress, the same ones for the same seed.
func random(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// write makes a file and its folders.
func (w *world) write(path string, b []byte, mode fs.FileMode) {
	w.t.Helper()
	w.ok(os.MkdirAll(filepath.Dir(path), 0o755))
	w.ok(os.WriteFile(path, b, mode))
	w.ok(os.Chmod(path, mode)) // whatever the umask
}

// ledger makes a source: a file of size bytes that do not compress, hundreds of small ones, and everything that a tree may
// hold: empty files and folders, deep paths, names beyond ASCII, executables.
func (w *world) ledger(size int) string {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), "ledger")
	w.write(filepath.Join(dir, "data.ldb"), random(1, size), 0o644)
	for i := range 300 {
		name := fmt.Sprintf("blocks/%02d/block-%04d.json", i%16, i)
		w.write(filepath.Join(dir, name), bytes.Repeat([]byte(fmt.Sprintf("{\"height\": %d}\n", i)), 1+i*7), 0o644)
	}
	w.write(filepath.Join(dir, "empty"), nil, 0o644)
	w.write(filepath.Join(dir, "bin", "tool"), []byte("#!/bin/sh\necho hello\n"), 0o755)
	w.write(filepath.Join(dir, strings.Repeat("deep/", 40), strings.Repeat("long-name-", 12)), []byte("x"), 0o644)
	w.write(filepath.Join(dir, "Überblick – 概要 🧱.txt"), []byte("unicode\n"), 0o644)
	w.write(filepath.Join(dir, "with space & 'quotes'"), []byte("y"), 0o600)
	w.ok(os.MkdirAll(filepath.Join(dir, "empty folder"), 0o755))
	old := time.Date(2009, 1, 3, 18, 15, 5, 0, time.UTC)
	w.ok(os.Chtimes(filepath.Join(dir, "data.ldb"), old, old))
	return dir
}

// sameTree fails unless two trees have the same entries, with the same content, execute permission and time to the second.
func (w *world) sameTree(got, want string) {
	w.t.Helper()
	a, b := w.describe(got), w.describe(want)
	if len(b) < 2 {
		w.t.Fatalf("%s holds nothing to compare with", want)
	}
	var wrong []string
	for path, line := range b {
		if a[path] != line {
			wrong = append(wrong, fmt.Sprintf("%s is %q, want %q", path, a[path], line))
		}
		delete(a, path)
	}
	for path := range a {
		wrong = append(wrong, path+" should not be there")
	}
	if len(wrong) > 0 {
		w.t.Errorf("%s is not like %s in %d entries, such as:\n%s", got, want, len(wrong), strings.Join(wrong[:min(5, len(wrong))], "\n"))
	}
}

// describe is a line for each entry below dir.
func (w *world) describe(dir string) map[string]string {
	w.t.Helper()
	out := make(map[string]string)
	w.ok(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			out[name] = "folder"
			return nil
		case !info.Mode().IsRegular():
			return errors.New(path + " is neither file nor folder")
		}
		content, err := os.ReadFile(path)
		out[name] = fmt.Sprintf("executable %t, %s, %d bytes, %x", info.Mode()&0o100 != 0,
			info.ModTime().UTC().Format(time.RFC3339), len(content), hash(content))
		return err
	}))
	return out
}

// same fails unless a file has exactly these bytes.
func (w *world) same(path string, want []byte) {
	w.t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		w.t.Errorf("%s has %d bytes (%x), %v; want %d (%x)", path, len(got), hash(got), err, len(want), hash(want))
	}
}

// sizeOf is 0 for what is not there.
func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
