package main

import (
	"os"
	"strings"
	"testing"

	"snapswarm/common/daemon"
)

// TestAResumedPublicationIsSaid: the archive was packed by a run that nobody could read the result of.
func TestAResumedPublicationIsSaid(t *testing.T) {
	w := newWorld(t)
	url := os.Getenv("PUBLIC_URL")
	w.set("PUBLIC_URL", "http://127.0.0.1:1/")
	w.set("PROBE_TIMEOUT", "100ms")
	if code, _, errs := w.run(t.Context(), "publish", w.source); code != daemon.ExitBucket {
		t.Fatalf("exit %d: %s", code, errs)
	}
	w.set("PUBLIC_URL", url)
	w.set("PROBE_TIMEOUT", "")
	out := w.mustRun("publish", w.source)
	if !strings.Contains(out, "resumed    an earlier run had packed it") || strings.Contains(out, "MB/s") {
		t.Errorf("publish says:\n%s", out)
	}
	w.write("more", []byte("something new"))
	if out := w.mustRun("publish", w.source); strings.Contains(out, "resumed") || !strings.Contains(out, "MB/s") {
		t.Errorf("the next publish says:\n%s", out)
	}
}

// TestServeWithoutASourceFinishes what publish left unfinished.
func TestServeWithoutASourceFinishes(t *testing.T) {
	w := newWorld(t)
	url := os.Getenv("PUBLIC_URL")
	w.set("PUBLIC_URL", "http://127.0.0.1:1/")
	w.set("PROBE_TIMEOUT", "100ms")
	if code, _, errs := w.run(t.Context(), "publish", w.source); code != daemon.ExitBucket {
		t.Fatalf("exit %d: %s", code, errs)
	}
	w.set("PUBLIC_URL", url)
	w.set("PROBE_TIMEOUT", "")
	w.serve()
	w.eventually("published", func() bool {
		code, _, _ := w.run(t.Context(), "status")
		return code == daemon.ExitOK
	})
	if st := w.status(); st.Newest.File != "ledger.tar.zst" {
		t.Errorf("the newest is %+v", st.Newest)
	}
}
