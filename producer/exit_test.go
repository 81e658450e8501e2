package main

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"

	"snapswarm/common/bucket"
	"snapswarm/common/daemon"
)

func TestAReadOnlyBucketIsNoFaultOfTheDataFolder(t *testing.T) {
	err := coded(&bucket.Error{Op: "check", Store: "file:///srv/www", Kind: bucket.ErrDenied, Err: syscall.EROFS})
	if got := daemon.ExitOf(err); got != daemon.ExitBucket {
		t.Errorf("exit %d, want %d: %v", got, daemon.ExitBucket, err)
	}
	var errs bytes.Buffer
	cmd := &cobra.Command{RunE: func(*cobra.Command, []string) error { return err }}
	cmd.SetArgs([]string{})
	if daemon.Run(t.Context(), cmd, &errs); strings.Contains(errs.String(), "DATA_DIR") {
		t.Errorf("it says %s", errs.String())
	}
}

// TestAClosedStandardInputIsEmpty: what a shell closed (<&-), the runtime opens as /dev/null.
func TestAClosedStandardInputIsEmpty(t *testing.T) {
	w := newWorld(t)
	w.set("NAME", "data.zst")
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	w.in = null
	code, _, errs := w.run(t.Context(), "publish", "-")
	if code != daemon.ExitSource || !strings.Contains(errs, "nothing to publish") || strings.Contains(errs, "terminal") {
		t.Errorf("exit %d, want %d: %s", code, daemon.ExitSource, errs)
	}
}
