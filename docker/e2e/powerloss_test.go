//go:build e2e && linux

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/common/faultfs"
	"snapswarm/docker/stack"
)

// TestPowerLoss lets the power go under the real programs, a producer and a mirror on one disk, at some fsync of each, and starts them
// again on what is left. The publication goes on, and so does the download.
func TestPowerLoss(t *testing.T) {
	m := faultfs.Mount(t) // goes after the processes have
	w := newWorld(t)
	env := func(name string) stack.Env {
		dir := filepath.Join(m.Dir, name)
		w.ok(os.MkdirAll(dir, 0o755))
		return stack.Env{"DATA_DIR": dir}
	}
	source := w.ledger(2 << 20)
	publish := func() ended { return w.run("publisher", "producer", []string{"publish", source}, env("producer")) }
	mirror := func() ended { return w.once("mirror", alone(env("mirror"))) }
	for seed := range uint64(4) {
		w.write(filepath.Join(source, "data.ldb"), random(byte(seed), 2<<20), 0o644)
		w.loses(m, "the producer", int(2+3*seed), seed, publish)
		w.loses(m, "the mirror", int(2+seed), seed, mirror)
		pub, err := w.Newest(w.ctx)
		w.ok(err)
		key := bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.Torrent.Name)
		w.same(filepath.Join(m.Dir, "mirror", filepath.FromSlash(key)), w.object(key))
	}
}

// loses runs a program until the power goes at its fsync of that number, and again after that, to its end.
func (w *world) loses(m *faultfs.Mounted, who string, left int, seed uint64, run func() ended) {
	w.t.Helper()
	m.Disk().Plan(func(o faultfs.Op) faultfs.Fault {
		if o.Kind != faultfs.Fsync {
			return faultfs.None
		}
		if left--; left == 0 {
			return faultfs.Cut
		}
		return faultfs.None
	})
	first := run()
	if !m.Disk().Dead() || first.code == 0 {
		w.t.Fatalf("%s ended with %d before its power went: %s", who, first.code, first.stderr)
	}
	at := fmt.Sprint(m.Disk().Failed())
	m.Insert(m.Disk().PowerCut(faultfs.Outcome{Names: faultfs.Mixed, Data: faultfs.Mixed, Seed: seed}))
	if e := run(); e.code != 0 {
		w.t.Errorf("%s after a power cut at %s: %s", who, strings.Trim(at, "[]"), e)
	}
}
