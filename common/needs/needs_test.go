package needs_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"snapswarm/common/durable"
	"snapswarm/common/needs"
)

// ended is a test that notes how it was ended.
type ended struct {
	testing.TB
	how string
}

func (e *ended) Helper()               {}
func (e *ended) Fatalf(string, ...any) { e.how = "failed"; runtime.Goexit() } // as the real one does
func (e *ended) Skipf(string, ...any)  { e.how = "skipped"; runtime.Goexit() }

func TestWhatIsMissingSkipsAndFailsInCI(t *testing.T) {
	for ci, want := range map[string]string{"": "skipped", "false": "skipped", "true": "failed"} {
		t.Setenv("CI", ci)
		e := &ended{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			needs.Program(e, "no-program-has-this-name")
		}()
		<-done
		if e.how != want {
			t.Errorf("with CI=%q the test is %s, want %s", ci, e.how, want)
		}
	}
}

func TestSmallDiskIsSmall(t *testing.T) {
	dir := needs.SmallDisk(t, "1m")
	err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, 2<<20), 0o600)
	if !durable.IsFull(err) {
		t.Errorf("2 MiB on a disk of 1 MiB: %v, want a full disk", err)
	}
}
