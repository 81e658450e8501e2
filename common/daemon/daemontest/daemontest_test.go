package daemontest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/daemon"
	"snapswarm/common/daemon/daemontest"
)

func TestSectionsAreWrittenAndThenFoundEqual(t *testing.T) {
	path := filepath.Join(t.TempDir(), "README.md")
	const readme = "# Tool\n<!-- settings: tool -->\nold\n<!-- end -->\ntext\n<!-- exit codes -->\n<!-- end -->\ntail\n"
	if err := os.WriteFile(path, []byte(readme), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, update := range []bool{true, false} {
		daemontest.Settings(t, path, "tool", &daemon.Process{}, update)
		daemontest.ExitCodes(t, path, update)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := string(b)
	for _, want := range []string{"# Tool\n", "`METRICS_ADDR`", "| 130 |", "\ntext\n", "<!-- end -->\ntail\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing from:\n%s", want, got)
		}
	}
	if strings.Contains(got, "\nold\n") {
		t.Errorf("the old section is still there:\n%s", got)
	}
}

func TestReplaceNeedsItsMarks(t *testing.T) {
	for _, content := range []string{"", "<!-- x -->\n", "<!-- end -->\n<!-- x -->\n", "<!-- y -->\n<!-- end -->\n"} {
		if got, err := daemontest.Replace([]byte(content), "x", "text"); err == nil {
			t.Errorf("Replace in %q = %q, want an error", content, got)
		}
	}
}
