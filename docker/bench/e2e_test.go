//go:build e2e

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReport runs every measurement on little data. Whatever the figures, the files must arrive, and every row must be there.
func TestReport(t *testing.T) {
	program := filepath.Join(t.TempDir(), "bench")
	if b, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, b)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), program, "-rounds=1", "-scale=0.01", "-patience=0", "-dir="+dir)
	var log strings.Builder
	cmd.Stderr = &log
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	out := string(b)
	var titles []string
	for line := range strings.Lines(out) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			name, _, _ := strings.Cut(title, ":")
			titles = append(titles, name)
		}
	}
	if diff := cmp.Diff(names(), titles); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
	for _, row := range []string{"| producer publish ", "| zstd -T0 -7 ", "| mirror --once ", "| 16 mirrors ", "| 4 clients of the library ", "| 4 libtorrent ", "| 8, 7 ", "| libtorrent ", "| aria2c ", "| gateway, whole file ", "| nginx, 8 ranges at once ", "| mirrors, bucket and DHT ", "| gateway, DHT alone "} {
		if !strings.Contains(out, row) {
			t.Errorf("no row %q in\n%s", row, out)
		}
	}
	// These do not depend on how fast the machine is.
	for _, what := range []string{"system calls on the archive, mirror", "system calls on the archive, gateway", "bytes of the archive that are read, mirror"} {
		if bar := lineWith(out, "| "+what+" "); !strings.Contains(bar, " met ") {
			t.Errorf("a restart reads more of the archive than it serves: %q", bar)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	t.Log(out)
}

// lineWith is the first line that begins with prefix.
func lineWith(text, prefix string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			return line
		}
	}
	return ""
}
