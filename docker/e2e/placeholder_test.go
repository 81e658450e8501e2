//go:build e2e

package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/archive"
	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
	"snapswarm/docker/stack"
)

// TestPlaceholder publishes generated data beside a real channel, with its key and its bucket. Who follows the link that was printed
// gets it, and its next version; who follows the real channel notices nothing.
func TestPlaceholder(t *testing.T) {
	w := newWorld(t)
	_, daily := w.produce(w.ledger(1<<20), nil)
	follower := w.mirror("mirror", nil)
	pointer := w.object(bucket.PointerKey(w.Channel.Salt))

	var trial *stack.Process
	for i, size := range []string{"6MiB", "3MiB"} {
		e := w.run("trial", "producer", []string{"publish", "--placeholder", size}, nil)
		if e.code != 0 {
			t.Fatalf("publish --placeholder: %s", e)
		}
		link := w.reported(e, "channel")
		ch, err := snapshot.ParseChannel(link)
		if err != nil || ch.Key != w.Channel.Key || ch.Salt != w.Channel.Salt+"-placeholder" {
			t.Fatalf("the report names %+v, %v", ch, err)
		}
		if trial == nil {
			trial, err = w.Mirror(w.ctx, "follower", stack.Env{"CHANNEL": link})
			w.ok(err)
		}
		w.complete(trial, i+1)
		w.holdsPlaceholder(trial, ch, e, size)
	}

	if !bytes.Equal(w.object(bucket.PointerKey(w.Channel.Salt)), pointer) {
		t.Error("the real channel's pointer has moved")
	}
	if !bytes.Equal(w.object(bucket.ArchiveKey(w.Channel.Salt, daily.Version(), daily.file())), daily.archive) {
		t.Error("the real channel's archive has changed")
	}
	if versions := w.metric(follower, "snapswarm_mirror_versions"); versions != 1 {
		t.Errorf("the mirror of the real channel has %g versions", versions)
	}
}

// reported is a line of a report, without its name.
func (w *world) reported(e ended, name string) string {
	w.t.Helper()
	for line := range strings.Lines(e.stdout) {
		if first, rest, _ := strings.Cut(line, " "); first == name {
			return strings.TrimSpace(rest)
		}
	}
	w.t.Fatalf("no %s in the report: %s", name, e)
	return ""
}

// holdsPlaceholder fails unless the mirror has the file of the report, and that unpacks to as many bytes as were asked for.
func (w *world) holdsPlaceholder(p *stack.Process, ch snapshot.Channel, e ended, size string) {
	w.t.Helper()
	v, err := snapshot.ParseVersion(w.reported(e, "published"))
	w.ok(err)
	key := bucket.ArchiveKey(ch.Salt, v, w.reported(e, "file"))
	path := filepath.Join(p.DataDir, filepath.FromSlash(key))
	stored := w.object(key)
	w.same(path, stored)
	if sum := fmt.Sprintf("%x", hash(stored)); sum != w.reported(e, "sha256") {
		w.t.Errorf("the storage holds %s, reported was %s", sum, w.reported(e, "sha256"))
	}
	f, err := os.Open(path)
	w.ok(err)
	defer f.Close()
	r, err := archive.NewReader(f, int64(len(stored)), archive.Limits{RawSize: -1})
	w.ok(err)
	if got := fmt.Sprintf("%dMiB", r.RawSize()>>20); got != size {
		w.t.Errorf("the archive unpacks to %s, want %s", got, size)
	}
}
