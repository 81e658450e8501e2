//go:build e2e

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"snapswarm/docker/stack"
)

// TestACommandThatFails lets serve make its source by a command, which fails for a while: the snapshot from before stays, serve says
// what is wrong, and publishes when the command succeeds again.
func TestACommandThatFails(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	database, lock := filepath.Join(dir, "database"), filepath.Join(dir, "lock")
	w.write(database, random(1, 1<<20), 0o644)
	producer, one := w.produce(filepath.Join(dir, "copy"), stack.Env{
		"SNAPSHOT_COMMAND": "if test -e '" + lock + "'; then echo the database is locked >&2; exit 7; fi; echo HEIGHT=4711; cp '" + database + `' "$SNAPSHOT_SOURCE"`,
		"PUBLISH_EVERY":    "1s",
	})
	if one.Torrent.Description.Height != 4711 {
		t.Errorf("height %d, want 4711", one.Torrent.Description.Height)
	}

	w.write(lock, nil, 0o644)
	w.notReady(producer, "publication: failing since 2", "exit status 7", "the database is locked")
	w.write(database, random(2, 1<<20), 0o644)
	w.newcomer("newcomer", alone(nil), one)

	w.ok(os.Remove(lock))
	two := w.published(producer, one.Record.Seq)
	w.ok(producer.Ready(w.ctx))
	if two.Torrent.Description.Previous != one.Torrent.InfoHash {
		t.Errorf("the next version follows %s, want %s", two.Torrent.Description.Previous, one.Torrent.InfoHash)
	}
	e := w.once("unpacked", alone(nil), "--extract")
	if e.code != 0 {
		t.Fatal(e)
	}
	w.same(strings.TrimSuffix(e.stdout, "\n"), random(2, 1<<20))
}

// notReady waits until a process says all of these words while it is not ready.
func (w *world) notReady(p *stack.Process, words ...string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%s is not ready and says %q", p.Name, words), func() bool {
		status := w.status(p)
		return strings.Contains(status, "[-]") && !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(status, word) })
	})
}
