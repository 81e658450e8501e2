package main

import (
	"encoding/json"
	"strings"
	"testing"

	"snapswarm/common/daemon"
	"snapswarm/producer/publish"
)

func TestWithdrawTellsWhatIsNewestNow(t *testing.T) {
	w := newWorld(t)
	if code, _, errs := w.run(t.Context(), "withdraw", "20261120T060000Z"); code != daemon.ExitNoPointer {
		t.Errorf("before anything is published: exit %d: %s", code, errs)
	}
	w.mustRun("publish", w.source)
	first := w.status().Newest
	if code, _, errs := w.run(t.Context(), "withdraw", first.Version); code != daemon.ExitNoData || !strings.Contains(errs, "is the first version") {
		t.Errorf("the only version: exit %d: %s", code, errs)
	}
	w.write("more", []byte("something bad"))
	w.mustRun("publish", w.source)
	second := w.status().Newest
	for _, bad := range []string{first.Version, "latest"} {
		code, _, errs := w.run(t.Context(), "withdraw", bad)
		if code != daemon.ExitUsage || strings.Count(errs, "\n") != 1 || (bad != "latest" && !strings.Contains(errs, second.Version)) {
			t.Errorf("withdraw %s: exit %d: %s", bad, code, errs)
		}
	}
	out := w.mustRun("withdraw", second.Version)
	for _, want := range []string{"withdrawn   " + second.Version, "newest now  " + first.Version, first.URL, "stay for those who have begun"} {
		if !strings.Contains(out, want) {
			t.Errorf("withdraw does not tell %q:\n%s", want, out)
		}
	}
	if st := w.status(); st.Newest.Version != first.Version || st.Sources[0].Seq != st.Sources[1].Seq {
		t.Errorf("status: %+v", st.Newest)
	}
	if out := w.mustRun("retain", "--dry-run"); !strings.Contains(out, "newer than what the pointer names") {
		t.Errorf("retain says:\n%s", out)
	}
	w.mustRun("publish", w.source)
	third := w.status().Newest
	if third.Previous != first.InfoHash || third.Version <= second.Version {
		t.Errorf("the next one is %s after %s", third.Version, third.Previous)
	}
	var report publish.Withdrawal
	if err := json.Unmarshal([]byte(w.mustRun("withdraw", third.Version, "--delete", "--json")), &report); err != nil {
		t.Fatal(err)
	}
	if !report.Removed || string(report.Version) != first.Version {
		t.Errorf("the second withdrawal reports %+v", report)
	}
}

// TestWithdrawBesideServeIsRefused: serve has to be stopped first, and nothing moves before.
func TestWithdrawBesideServeIsRefused(t *testing.T) {
	w := newWorld(t)
	w.mustRun("publish", w.source)
	w.write("more", []byte("something bad"))
	b := w.serving()
	w.eventually("the second version", func() bool { return w.status().Newest.Previous != "" })
	second := w.status().Newest
	code, out, errs := w.run(t.Context(), "withdraw", second.Version)
	if code != daemon.ExitTaken || out != "" || !strings.Contains(errs, "held by process") {
		t.Errorf("beside serve: exit %d: %s%s", code, out, errs)
	}
	if now := w.status().Newest; now.Version != second.Version {
		t.Errorf("the newest is %s, want %s still", now.Version, second.Version)
	}
	b.stop()
	w.mustRun("withdraw", second.Version)
}
