package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStatusTellsWhoHasTheLease(t *testing.T) {
	w := newWorld(t)
	w.mustRun("publish", w.source, "--height", "12")
	if st := w.status(); st.Lease == nil || st.Lease.Holder != nil || st.Lease.Error != "" {
		t.Errorf("after publish, the lease is %+v", st.Lease)
	}
	if out := w.mustRun("status"); !strings.Contains(out, "lease      none") || !strings.Contains(out, "height     12\n") {
		t.Errorf("after publish, status says:\n%s", out)
	}

	b := w.serving()
	w.set("DATA_DIR", filepath.Join(w.dir, "another machine"))
	st := w.status()
	if st.Lease.Holder == nil || st.Lease.Holder.PID != os.Getpid() || !st.Lease.Until.After(time.Now()) {
		t.Errorf("beside serve, the lease is %+v", st.Lease)
	}
	if out := w.mustRun("status"); !strings.Contains(out, "until 20") || !strings.Contains(out, "lease      process ") {
		t.Errorf("beside serve, status says:\n%s", out)
	}
	b.stop()
	if st := w.status(); st.Lease.Holder != nil {
		t.Errorf("after serve, the lease is %+v", st.Lease)
	}
	if err := os.WriteFile(filepath.Join(w.bucket, "chain", "lease"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := w.mustRun("status"); !strings.Contains(out, "lease      cannot be read") {
		t.Errorf("of a damaged lease, status says:\n%s", out)
	}
}

func TestStatusTellsOfAWithdrawal(t *testing.T) {
	w := newWorld(t)
	w.mustRun("publish", w.source)
	w.write("more", []byte("something bad"))
	w.mustRun("publish", w.source)
	second := w.status().Newest
	if len(second.Newer) != 0 {
		t.Errorf("newer than the newest: %q", second.Newer)
	}
	w.mustRun("withdraw", second.Version)
	if got := w.status().Newest.Newer; !slices.Equal(got, []string{second.Version}) {
		t.Errorf("newer is %q, want what was withdrawn, %s", got, second.Version)
	}
	if out := w.mustRun("status"); !strings.Contains(out, second.Version+" is in the bucket, but not the newest") || !strings.Contains(out, "height     none\n") {
		t.Errorf("status says:\n%s", out)
	}
}
