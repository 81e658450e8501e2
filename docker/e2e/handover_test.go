//go:build e2e

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/docker/stack"
)

// TestPublishBesideServe: from the same DATA_DIR publish lets the running serve do it; from another one, as on another machine, it is
// refused, also after the other one was killed, which starts again at once.
func TestPublishBesideServe(t *testing.T) {
	w := newWorld(t)
	source := w.ledger(1 << 20)
	producer, one := w.produce(source, nil)
	byHand := filepath.Join(t.TempDir(), "by-hand.ldb")
	w.write(byHand, random(3, 3<<20), 0o644)

	e := w.run("producer", "producer", []string{"publish", byHand, "--height", "4711"}, nil)
	if e.code != 0 || e.stderr == "" {
		t.Fatalf("publish beside serve: %s", e)
	}
	two := w.published(producer, one.Record.Seq)
	if two.Torrent.Description.Previous != one.Torrent.InfoHash || two.file() != "by-hand.ldb.zst" || two.Torrent.Description.Height != 4711 {
		t.Errorf("the newest is %s of height %d after %s", two.file(), two.Torrent.Description.Height, two.Torrent.Description.Previous)
	}
	for _, part := range []string{"published", two.version(), two.Torrent.InfoHash.String(), "stored on"} {
		if !strings.Contains(e.stdout, part) {
			t.Errorf("the report does not say %q:\n%s", part, e.stdout)
		}
	}
	if !strings.Contains(e.stderr, "snapshot published") {
		t.Errorf("the log of the publication is not shown:\n%s", e.stderr)
	}
	w.same(w.held(w.mirror("mirror", nil), two), two.archive)

	quiet := stack.Env{"LOG_LEVEL": "error", "METRICS_ADDR": "none"}
	w.run("producer", "producer", []string{"publish", byHand, "--name", "other.zst"}, quiet).
		says(t, "producer", 2, "NAME", "other.zst", "a running serve")

	host, err := os.Hostname()
	w.ok(err)
	held := []string{"another publisher holds the channel", "(producer serve) on " + host, "lease", "until"}
	for _, args := range [][]string{{"publish", byHand}, {"serve"}} {
		w.run("second", "producer", args, quiet).says(t, "producer", 5, held...)
	}
	w.ok(producer.Kill())
	w.run("second", "producer", []string{"publish", byHand}, quiet).says(t, "producer", 5, held...)
	again, err := w.Again(producer)
	w.ok(err)
	w.ok(again.Ready(w.ctx))
	w.ok(again.Stop())
	if e := w.run("second", "producer", []string{"publish", byHand}, nil); e.code != 0 {
		t.Errorf("the second machine, after serve has ended: %s", e)
	}
}
