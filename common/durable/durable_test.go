package durable_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"snapswarm/common/durable"
)

func TestWriteFileReplacesContentAndPermissions(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ratchet")
	for _, want := range []string{"a long first content", "short", ""} {
		if err := durable.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != want {
			t.Errorf("content = %q, want %q", got, want)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("permissions = %v, want 0600", got)
	}
	wantEntries(t, dir, "ratchet")
}

func TestWriteFileFailureKeepsTheOldFileAndLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "target")
	// A directory that is not empty cannot be renamed over: the last step fails after the bytes were written.
	if err := os.MkdirAll(filepath.Join(path, "inner"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("x"), 0o600); err == nil {
		t.Error("WriteFile over a directory succeeded")
	}
	wantEntries(t, dir, "target")
	if err := durable.WriteFile(filepath.Join(dir, "missing", "file"), nil, 0o600); err == nil {
		t.Error("WriteFile into a missing directory succeeded")
	}
}

// A reader that runs at the same time as many writers must never see a torn file.
func TestWriteFileIsAtomicForReaders(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	contents := [][]byte{bytes.Repeat([]byte("a"), 64<<10), bytes.Repeat([]byte("b"), 32<<10)}
	if err := durable.WriteFile(path, contents[0], 0o600); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for _, c := range contents {
		writers.Go(func() {
			for range 10 {
				if err := durable.WriteFile(path, c, 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		if got := []byte(read(t, path)); !bytes.Equal(got, contents[0]) && !bytes.Equal(got, contents[1]) {
			t.Fatalf("read a mix of %d bytes", len(got))
		}
	}
}

func TestMkdirAll(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b", "c")
	for range 2 { // the second call finds everything there
		if err := durable.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.MkdirAll(dir+"/", 0o755); err != nil {
		t.Errorf("trailing slash: %v", err)
	}
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if err := durable.MkdirAll(path, 0o755); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("MkdirAll(%s) = %v, want an error that names %s", path, err, file)
		}
	}
}

func TestMkdirAllRelative(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := durable.MkdirAll("x/y", 0o755); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, "x", "y")
}

func TestRenameAcrossDirectories(t *testing.T) {
	root := t.TempDir()
	from, to := filepath.Join(root, "from"), filepath.Join(root, "to")
	for _, dir := range []string{from, to} {
		if err := durable.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.WriteFile(filepath.Join(from, "f"), []byte("moved"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.Rename(filepath.Join(from, "f"), filepath.Join(to, "g")); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, from)
	if got := read(t, filepath.Join(to, "g")); got != "moved" {
		t.Errorf("content = %q, want %q", got, "moved")
	}
	if err := durable.Rename(filepath.Join(from, "f"), filepath.Join(to, "g")); err == nil {
		t.Error("Rename of a missing file succeeded")
	}
}

func TestRemoveTempsDeletesOnlyLeftovers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{".durable-1234", "kept", ".hidden"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := durable.RemoveTemps(dir); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, dir, ".hidden", "kept")
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wantEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("entries of %s = %q, want %q", dir, got, want)
	}
}
