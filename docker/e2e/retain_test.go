//go:build e2e

package e2e_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/bucket"
	"snapswarm/docker/stack"
)

// TestWhatGoesIsToldBefore compares what --dry-run of publish and retain announce with what the same commands then remove, and looks
// at every byte of bucket and disk to see that --dry-run itself changes nothing.
func TestWhatGoesIsToldBefore(t *testing.T) {
	w := newWorld(t)
	source := filepath.Join(t.TempDir(), "ledger.db")
	two := stack.Env{"SNAPSHOT_RETENTION_COUNT": "2"}
	var versions []published
	publish := func(env stack.Env) {
		w.write(source, random(byte(len(versions)), 1<<20), 0o644)
		w.did(env, "publish", source)
		pub, err := w.Newest(w.ctx)
		w.ok(err)
		versions = append(versions, published{pub, w.object(bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.Torrent.Name))})
	}
	for range 3 {
		publish(nil)
	}

	t.Run("retain", func(t *testing.T) {
		w := w.in(t)
		w.leaves(w.rehearsed(two, "retain"), versions[:1])
		before := w.objects()
		w.leaves(w.did(two, "retain"), versions[:1])
		w.lost(before, versions[:1])
		w.leaves(w.rehearsed(two, "retain"), nil)
	})
	t.Run("publish", func(t *testing.T) {
		w := w.in(t)
		out := w.rehearsed(two, "publish", source)
		if !strings.Contains(out, "would publish") || !strings.Contains(out, versions[2].Torrent.InfoHash.String()) {
			t.Errorf("it does not say what it would publish, and after what:\n%s", out)
		}
		w.leaves(out, versions[1:2])
		before := w.objects()
		publish(two)
		w.lost(before, versions[1:2])
	})
}

// did runs a command of the publisher that has to succeed, and returns what it printed.
func (w *world) did(env stack.Env, args ...string) string {
	w.t.Helper()
	e := w.run("publisher", "producer", args, env)
	if e.code != 0 {
		w.t.Fatalf("%q: %s", args, e)
	}
	return e.stdout
}

// rehearsed is did with --dry-run, which changes nothing, neither in the storage nor on the publisher's disk.
func (w *world) rehearsed(env stack.Env, args ...string) string {
	w.t.Helper()
	everything := func() map[string]string {
		all := w.describe(filepath.Join(w.Dir(), "publisher"))
		for path, line := range w.describe(filepath.Join(w.Dir(), "s3", "data")) {
			all["s3/"+path] = line
		}
		return all
	}
	before := everything()
	out := w.did(env, append(args, "--dry-run")...)
	if diff := cmp.Diff(before, everything()); diff != "" || len(before) < 10 {
		w.t.Errorf("%q --dry-run has changed something of %d entries (-before +after):\n%s", args, len(before), diff)
	}
	return out
}

// leaves fails unless a table says of exactly these versions that they go.
func (w *world) leaves(table string, gone []published) {
	w.t.Helper()
	var want, got []string
	for _, p := range gone {
		want = append(want, p.version())
	}
	for line := range strings.Lines(table) {
		if f := strings.Fields(line); slices.Contains(f, "goes") {
			got = append(got, f[0])
		}
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("%q go, want %q:\n%s", got, want, table)
	}
}

// objects are the files of the storage and of the versions on the publisher's disk.
func (w *world) objects() map[string]string {
	w.t.Helper()
	files := make(map[string]string)
	for place, dir := range map[string]string{
		"bucket/": filepath.Join(w.Dir(), "s3", "data", w.S3.Bucket),
		"disk/":   filepath.Join(w.Dir(), "publisher", w.Channel.Salt),
	} {
		for path, line := range w.describe(dir) {
			if line != "folder" {
				files[place+filepath.ToSlash(path)] = line
			}
		}
	}
	return files
}

// lost fails unless all files of some versions are gone, and no others.
func (w *world) lost(before map[string]string, gone []published) {
	w.t.Helper()
	var want, got []string
	for _, p := range gone {
		archive, torrent := bucket.ArchiveKey(w.Channel.Salt, p.Version(), p.file()), bucket.TorrentKey(w.Channel.Salt, p.Version(), p.file())
		want = append(want, "bucket/"+archive, "bucket/"+torrent, "bucket/"+bucket.InfoHashKey(p.Torrent.InfoHash))
		for path := range before {
			if strings.HasPrefix(path, fmt.Sprintf("disk/%s/", p.version())) {
				want = append(want, path)
			}
		}
	}
	after := w.objects()
	for path := range maps.Keys(before) {
		if _, ok := after[path]; !ok {
			got = append(got, path)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 5*len(gone) {
		w.t.Errorf("what is gone (-want +got):\n%s\nwant %q", diff, want)
	}
}
