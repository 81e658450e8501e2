// Package daemontest keeps the documentation of a command equal to its code: README sections that are generated, and
// compared by a test.
package daemontest

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"snapswarm/common/daemon"
)

// Settings checks that the README at path has the table of cfg, a pointer to the settings struct of a command, between
// the lines
//
//	<!-- settings: NAME -->
//	<!-- end -->
//
// and writes it there when update is true.
func Settings(t *testing.T, path, name string, cfg any, update bool) {
	t.Helper()
	table, err := daemon.SettingsTable(cfg)
	if err != nil {
		t.Fatal(err)
	}
	Section(t, path, "settings: "+name, table, update)
}

// Help checks that --help of a command and of each of its subcommands fits a terminal of 80 columns.
func Help(t *testing.T, newCommand func() *cobra.Command) {
	t.Helper()
	paths := [][]string{nil}
	for _, sub := range newCommand().Commands() {
		paths = append(paths, []string{sub.Name()})
	}
	for _, path := range paths {
		var out, errs bytes.Buffer
		cmd := newCommand()
		cmd.SetOut(&out)
		cmd.SetArgs(append(path, "--help"))
		if code := daemon.Run(t.Context(), cmd, &errs); code != daemon.ExitOK || !strings.Contains(out.String(), "Usage:") {
			t.Fatalf("%s %v --help: exit %d, %s%s", cmd.Name(), path, code, &errs, &out)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%s %v --help has a line of %d columns: %s", cmd.Name(), path, n, line)
			}
		}
	}
}

// ExitCodes does for the table of exit codes what Settings does for the settings, between the lines
//
//	<!-- exit codes -->
//	<!-- end -->
func ExitCodes(t *testing.T, path string, update bool) {
	t.Helper()
	Section(t, path, "exit codes", daemon.ExitTable(), update)
}

// Section checks that the file at path has text between a line "<!-- title -->" and the next "<!-- end -->", and writes
// it there when update is true.
func Section(t *testing.T, path, title, text string, update bool) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Replace(content, title, text)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	switch {
	case bytes.Equal(content, want):
	case update:
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is out of date, run this test with -update (-in the file, +generated):\n%s", path, cmp.Diff(string(content), string(want)))
	}
}

// Replace returns content with text between the marks of title.
func Replace(content []byte, title, text string) ([]byte, error) {
	start, end := []byte("<!-- "+title+" -->\n"), []byte("<!-- end -->")
	before, rest, ok := bytes.Cut(content, start)
	_, after, ok2 := bytes.Cut(rest, end)
	if !ok || !ok2 {
		return nil, fmt.Errorf("has no lines %q and %q", bytes.TrimSpace(start), end)
	}
	return bytes.Join([][]byte{before, start, []byte("\n" + text + "\n"), end, after}, nil), nil
}
