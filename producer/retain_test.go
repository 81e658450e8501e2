package main

import (
	"encoding/json"
	"strings"
	"testing"

	"snapswarm/common/daemon"
)

func TestRetainShowsItsPlanFirst(t *testing.T) {
	w := newWorld(t)
	for range 3 {
		w.mustRun("publish", w.source)
		w.write("more", []byte("something new"))
	}
	link := w.status().Channel
	b := w.serve() // without a source; it holds the channel
	w.eventually("served", func() bool { return w.status().Holder != nil })
	key := "AUTHORITY_KEY"
	if code, _, errs := w.run(t.Context(), "retain"); code != daemon.ExitTaken {
		t.Errorf("retain beside serve: exit %d: %s", code, errs)
	}
	w.set("CHANNEL", link)
	w.set(key, "") // a dry run needs none
	out := w.mustRun("retain", "--dry-run", "--snapshot-retention-count", "1")
	for _, want := range []string{"stays  the pointer names it\n", "goes   beyond the newest 1\n", "2 of 3 versions, with ", "would go.\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("retain --dry-run does not tell %q:\n%s", want, out)
		}
	}
	b.stop()
	w.set(key, strings.Repeat("17", 32))
	var plan retained
	if err := json.Unmarshal([]byte(w.mustRun("retain", "--json", "--snapshot-retention-count", "2")), &plan); err != nil {
		t.Fatal(err)
	}
	if len(plan.Versions) != 3 || len(plan.Removed) != 1 || plan.Removed[0] != plan.Versions[2].Version || plan.DryRun || plan.Channel != link {
		t.Errorf("retain removed %+v", plan)
	}
	if out := w.mustRun("retain", "--snapshot-retention-count", "2"); !strings.HasSuffix(out, "Nothing has to go.\n") {
		t.Errorf("the second time:\n%s", out)
	}
	if code, _, errs := w.run(t.Context(), "retain", "--snapshot-retention-count", "0"); code != daemon.ExitUsage {
		t.Errorf("none kept: exit %d: %s", code, errs)
	}
}

func TestPublishDryRun(t *testing.T) {
	w := newWorld(t)
	out := w.mustRun("publish", "--dry-run", w.source)
	if !strings.Contains(out, "it would be the first") || !strings.Contains(out, "ledger.tar.zst") {
		t.Errorf("the first dry run says:\n%s", out)
	}
	w.mustRun("publish", w.source, "--height", "9")
	out = w.mustRun("publish", "--dry-run", w.source, "--snapshot-retention-count", "1", "--height", "9")
	if !strings.Contains(out, "goes   beyond the newest 1") || !strings.Contains(out, "1 of 2 versions") {
		t.Errorf("the second dry run says:\n%s", out)
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "20") && len(line) > 81 {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	if code, _, errs := w.run(t.Context(), "publish", "--dry-run", w.source, "--height", "8"); code != daemon.ExitUsage || !strings.Contains(errs, "--force") {
		t.Errorf("with a lower height: exit %d: %s", code, errs)
	}
	if got := w.status(); got.Newest.Height != 9 {
		t.Errorf("the newest has height %d", got.Newest.Height)
	}
	t.Log(out)
}
