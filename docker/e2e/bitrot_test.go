//go:build e2e

package e2e_test

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/docker/stack"
)

// TestBitRotIsMended changes a byte of the archives of a mirror and a gateway without a trace: the scrubber finds and replaces it, and
// from the moment that it is found nobody reads it.
func TestBitRotIsMended(t *testing.T) {
	w := newWorld(t)
	_, pub := w.produce(w.ledger(4<<20), nil)
	mirror := w.mirror("mirror", stack.Env{"SCRUB_RATE": "64MiB/s"})
	gateway, base := w.gateway("gateway", stack.Env{"SCRUB_RATE": "64MiB/s"})
	w.eventually("the gateway has all", func() bool { return strings.Contains(w.status(gateway), pub.version()+", 100 % here") })
	for _, p := range []**stack.Process{&mirror, &gateway} {
		w.ok((*p).Stop())
		w.rot(w.held(*p, pub), pub.archive)
		again, err := w.Again(*p)
		w.ok(err)
		*p = again
	}
	url := base + "/" + bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.file())
	for _, p := range []*stack.Process{gateway, mirror} {
		w.eventually(p.Name+" finds it", func() bool { return w.metric(p, "snapswarm_scrub_pieces_total", `result="wrong"`) == 1 })
		if p == gateway { // also while it is being fetched: who comes waits
			if status, _, body := w.get(url); status != http.StatusOK || !bytes.Equal(body, pub.archive) {
				t.Errorf("the gateway serves %d with %d bytes, want 200 with the %d that are right", status, len(body), len(pub.archive))
			}
		}
		w.eventually(p.Name+" mends it", func() bool {
			return w.metric(p, "snapswarm_scrub_mended_total") == 1 && w.metric(p, "snapswarm_scrub_damaged") == 0
		})
		w.same(w.held(p, pub), pub.archive)
		if line := "a piece on disk is damaged"; strings.Count(w.log(p), line) != 1 {
			t.Errorf("the log of %s has %q %d times, want once", p.Name, line, strings.Count(w.log(p), line))
		}
	}
	w.complete(mirror, 1)
	w.eventually("a round of the mirror has ended", func() bool { return strings.Contains(w.status(mirror), "scrubbed 20") })
}

// rot flips a bit in the middle of a file that is right, and leaves size, inode and time as they were.
func (w *world) rot(path string, right []byte) {
	w.t.Helper()
	w.same(path, right)
	info, err := os.Stat(path)
	w.ok(err)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	w.ok(err)
	defer f.Close()
	middle := len(right) / 2
	_, err = f.WriteAt([]byte{right[middle] ^ 1}, int64(middle))
	w.ok(err)
	w.ok(os.Chtimes(path, time.Time{}, info.ModTime()))
}
