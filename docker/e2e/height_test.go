//go:build e2e

package e2e_test

import (
	"strings"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/docker/stack"
)

// TestAHeightThatGoesBack publishes a state that is older than the newest one: it is refused before anything is packed, unless it is
// meant so.
func TestAHeightThatGoesBack(t *testing.T) {
	w := newWorld(t)
	source := w.ledger(1 << 20)
	publish := func(args ...string) ended {
		return w.run("publisher", "producer", append([]string{"publish", source}, args...), stack.Env{"LOG_LEVEL": "warn"})
	}
	passes := func(height uint64, warning string, args ...string) {
		t.Helper()
		e := publish(args...)
		pub, err := w.Newest(w.ctx)
		w.ok(err)
		if e.code != 0 || pub.Torrent.Description.Height != height || !strings.Contains(e.stderr, warning) {
			t.Errorf("publish %q: the newest has height %d, want %d and a warning of %q: %s", args, pub.Torrent.Description.Height, height, warning, e)
		}
	}
	passes(4711, "", "--height", "4711")
	before, objects := w.object(bucket.PointerKey(w.Channel.Salt)), len(w.objects())
	for _, more := range [][]string{nil, {"--dry-run"}} {
		e := publish(append(more, "--height", "4710")...)
		e.says(t, "producer", 2, "4710 is lower", "4711", "nothing was packed", "--force")
	}
	w.unchanged(before)
	if now := len(w.objects()); now != objects {
		t.Errorf("%d files in bucket and on disk, want %d as before", now, objects)
	}
	passes(4711, "", "--height", "4711")
	passes(4710, "goes back", "--height", "4710", "--force")
	passes(0, "has none")
}
