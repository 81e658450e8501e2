//go:build e2e

package e2e_test

import (
	"bytes"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/docker/stack"
)

// damages are what can become of a small file.
var damages = []struct {
	name string
	do   func(w *world, path string)
}{
	{"empty", func(w *world, path string) { w.ok(os.Truncate(path, 0)) }},
	{"cut", func(w *world, path string) { w.ok(os.Truncate(path, sizeOf(path)/2)) }},
	{"a bit is flipped", func(w *world, path string) {
		b, err := os.ReadFile(path)
		w.ok(err)
		if len(b) > 0 {
			b[len(b)/2] ^= 0x10
		}
		w.ok(os.WriteFile(path, b, 0o644))
	}},
	{"huge", func(w *world, path string) { w.ok(os.Truncate(path, 1<<32)) }},
	{"a folder is in its place", func(w *world, path string) {
		w.ok(os.Remove(path))
		w.ok(os.MkdirAll(filepath.Join(path, "something"), 0o755))
	}},
}

// TestDamagedStateFiles damages every small file that a mirror, a gateway and a producer keep, all at once, and starts them again:
// they say so, set aside what they cannot use, and serve what they had; a producer that has lost its journal may publish once more.
func TestDamagedStateFiles(t *testing.T) {
	w := newWorld(t)
	producer, pub := w.produce(w.ledger(1<<20), nil)
	mirror := w.mirror("mirror", nil)
	gateway, base := w.gateway("gateway", nil)
	t.Run("producer", func(t *testing.T) { w.in(t).damagedProducer(producer) }) // publishes again, so it comes first
	var err error
	pub.Publication, err = w.Newest(w.ctx)
	w.ok(err)
	pub.archive = w.object(bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.file()))
	for _, p := range []**stack.Process{&mirror, &gateway} { // for the newest there is now
		w.ok((*p).Stop())
		*p, err = w.Again(*p)
		w.ok(err)
	}
	w.eventually("the mirror has the newest", func() bool { return strings.Contains(w.status(mirror), "seeding "+pub.version()) })
	served := base + "/" + bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.file())
	w.eventually("the gateway has all", func() bool { return strings.Contains(w.status(gateway), pub.version()+", 100 % here") })
	restart := func(p **stack.Process) {
		again, err := w.Again(*p)
		w.ok(err)
		*p = again
	}
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			w := w.in(t)
			for _, p := range []*stack.Process{mirror, gateway} {
				w.damage(p, d.do)
			}
			restart(&mirror)
			w.complete(mirror, 1)
			w.same(w.held(mirror, pub), pub.archive)
			restart(&gateway)
			w.ok(gateway.Ready(w.ctx))
			if status, _, body := w.get(served); status != http.StatusOK || !bytes.Equal(body, pub.archive) {
				t.Errorf("the gateway serves %d with %d bytes, want 200 with %d", status, len(body), len(pub.archive))
			}
			for _, p := range []*stack.Process{mirror, gateway} {
				if !strings.Contains(w.log(p), "set aside") {
					t.Errorf("%s does not say that anything is set aside", p.Name)
				}
				w.tidy(p)
			}
		})
	}
}

// damagedProducer lets every damage happen to a producer.
func (w *world) damagedProducer(p *stack.Process) {
	for _, d := range damages {
		w.t.Log(d.name)
		w.damage(p, d.do)
		var err error
		p, err = w.Again(p)
		w.ok(err)
		w.ok(p.Ready(w.ctx))
		pub, err := w.Newest(w.ctx)
		w.ok(err)
		w.object(bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.Torrent.Name))
		w.tidy(p)
	}
	w.ok(p.Stop())
}

// damage stops a process and damages its files.
func (w *world) damage(p *stack.Process, do func(w *world, path string)) {
	w.ok(p.Stop())
	for _, path := range w.stateOf(p) {
		do(w, path)
	}
}

// stateOf are the small files below the data folder of a process: all but archives, locks, and what was set aside.
func (w *world) stateOf(p *stack.Process) (paths []string) {
	w.t.Helper()
	w.ok(filepath.WalkDir(p.DataDir, func(path string, d fs.DirEntry, err error) error {
		archive := strings.HasSuffix(path, ".zst")
		if err == nil && d.IsDir() && strings.HasSuffix(path, ".corrupt") {
			return fs.SkipDir
		}
		if err == nil && d.Type().IsRegular() && !archive && filepath.Base(path) != "lock" && !strings.HasSuffix(path, ".corrupt") {
			paths = append(paths, path)
		}
		return err
	}))
	if len(paths) < 3 {
		w.t.Fatalf("%s keeps %q", p.Name, paths)
	}
	w.t.Logf("%s: %d files, %s", p.Name, len(paths), strings.Join(paths, " "))
	return paths
}

// tidy fails if something was set aside more than once.
func (w *world) tidy(p *stack.Process) {
	w.t.Helper()
	w.ok(filepath.WalkDir(p.DataDir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".corrupt.corrupt") {
			w.t.Errorf("%s", path)
		}
		return err
	}))
}

func (w *world) log(p *stack.Process) string {
	b, err := os.ReadFile(p.LogFile)
	w.ok(err)
	return string(b)
}
