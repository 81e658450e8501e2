package archive_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/archive"
)

func TestSourceNamesAndSizes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "chain")
	path := writeFile(t, dir, "data.ldb", make([]byte, 700), 0o600)
	file, err := archive.FileSource(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		src  archive.Source
		name string
		size int64
	}{
		{file, "data.ldb", 700},
		{dirSource(t, dir), "chain.tar", 512 + 1024 + 1024},
		{archive.ReaderSource("dump.sql", nil), "dump.sql", -1},
	} {
		if tt.src.Name() != tt.name || tt.src.Size() != tt.size {
			t.Errorf("source is %q of %d bytes, want %q of %d", tt.src.Name(), tt.src.Size(), tt.name, tt.size)
		}
	}
}

func TestSourceThatIsNotThere(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "nothing")
	if _, err := archive.FileSource(missing); !errors.Is(err, archive.ErrUnreadable) || !strings.Contains(err.Error(), missing) {
		t.Errorf("FileSource = %v, want %v with the name", err, archive.ErrUnreadable)
	}
	if _, err := archive.DirSource(t.Context(), missing); !errors.Is(err, archive.ErrUnreadable) || !strings.Contains(err.Error(), missing) {
		t.Errorf("DirSource = %v, want %v with the name", err, archive.ErrUnreadable)
	}
	if _, err := archive.FileSource(t.TempDir()); !errors.Is(err, archive.ErrUnsupportedEntry) {
		t.Errorf("FileSource of a directory = %v, want %v", err, archive.ErrUnsupportedEntry)
	}
}

func TestSourceWithoutPermission(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	dir := t.TempDir()
	path := writeFile(t, dir, "secret", []byte("x"), 0)
	file, err := archive.FileSource(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range []archive.Source{file, dirSource(t, dir)} {
		if _, err := archive.Write(t.Context(), io.Discard, src, small); !errors.Is(err, archive.ErrUnreadable) {
			t.Errorf("Write = %v, want %v", err, archive.ErrUnreadable)
		}
	}
}

func TestDirSourceListsEverythingUnsupported(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "fine", []byte("x"), 0o600)
	writeFile(t, dir, "sub/fine", []byte("x"), 0o600)
	for _, name := range []string{"link", "sub/dangling"} {
		if err := os.Symlink("fine-or-not", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	makePipe(t, filepath.Join(dir, "pipe"))
	if err := os.WriteFile(filepath.Join(dir, "bad\xff"), nil, 0o600); err != nil {
		t.Skipf("this file system takes UTF-8 alone: %v", err)
	}
	_, err := archive.DirSource(t.Context(), dir)
	var list *archive.UnsupportedError
	if !errors.As(err, &list) || !errors.Is(err, archive.ErrUnsupportedEntry) {
		t.Fatalf("DirSource = %v, want an UnsupportedError", err)
	}
	want := []archive.Unsupported{
		{Path: "bad\xff", Kind: "name is not UTF-8"},
		{Path: "link", Kind: "symbolic link"},
		{Path: "pipe", Kind: "named pipe"},
		{Path: "sub/dangling", Kind: "symbolic link"},
	}
	if diff := cmp.Diff(want, list.Entries); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// A change is found whenever it comes: before the read, and after the file itself was read.
func TestSourceThatChanges(t *testing.T) {
	later := time.Unix(1_800_000_000, 0)
	changes := map[string]func(t *testing.T, path string){
		"grows":    func(t *testing.T, path string) { appendTo(t, path, "more") },
		"shrinks":  func(t *testing.T, path string) { must(t, os.Truncate(path, 5)) },
		"touched":  func(t *testing.T, path string) { setTime(t, path, later) },
		"removed":  func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"replaced": replace,
		"became a pipe": func(t *testing.T, path string) {
			must(t, os.Remove(path))
			makePipe(t, path)
		},
		"became a link": func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".real"))
			must(t, os.Symlink(filepath.Base(path)+".real", path))
		},
	}
	for name, change := range changes {
		for _, when := range []string{"before", "during"} {
			for _, size := range []int{20_000, 500_000} {
				t.Run(name+" "+when, func(t *testing.T) {
					dir := t.TempDir()
					path := writeFile(t, dir, "a", noise(1, size), 0o600)
					writeFile(t, dir, "b/z", noise(2, 3_000_000), 0o600)
					src := dirSource(t, dir)
					o := small
					switch when {
					case "before":
						change(t, path)
					case "during": // as soon as b/z is at hand, and thus after all of a
						done := false
						o.Progress = func(raw, _ int64) {
							if !done && raw > int64(size)+2_000_000 {
								change(t, path)
								done = true
							}
						}
					}
					_, err := archive.Write(t.Context(), io.Discard, src, o)
					if !errors.Is(err, archive.ErrSourceChanged) || !strings.Contains(err.Error(), path) {
						t.Errorf("Write = %v, want %v with the name", err, archive.ErrSourceChanged)
					}
				})
			}
		}
	}
}

func TestTreeThatGainsAnEntry(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "sub/a", []byte("x"), 0o600)
	src := dirSource(t, dir)
	writeFile(t, dir, "sub/b", []byte("x"), 0o600)
	_, err := archive.Write(t.Context(), io.Discard, src, small)
	if !errors.Is(err, archive.ErrSourceChanged) || !strings.Contains(err.Error(), filepath.Join(dir, "sub")) {
		t.Errorf("Write = %v, want %v with the directory's name", err, archive.ErrSourceChanged)
	}
}

func TestFileThatChangesWhileRead(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, path string){
		"grows":    func(t *testing.T, path string) { appendTo(t, path, "more") },
		"shrinks":  func(t *testing.T, path string) { must(t, os.Truncate(path, 5)) },
		"replaced": replace,
		"removed":  func(t *testing.T, path string) { must(t, os.Remove(path)) },
	} {
		t.Run(name, func(t *testing.T) {
			path := writeFile(t, t.TempDir(), "data.ldb", noise(1, 3_000_000), 0o600)
			src, err := archive.FileSource(path)
			must(t, err)
			o, done := small, false
			o.Progress = func(int64, int64) {
				if !done {
					change(t, path)
					done = true
				}
			}
			_, err = archive.Write(t.Context(), io.Discard, src, o)
			if !errors.Is(err, archive.ErrSourceChanged) || !strings.Contains(err.Error(), path) {
				t.Errorf("Write = %v, want %v with the name", err, archive.ErrSourceChanged)
			}
		})
	}
}

func TestTreeReaderClosedEarly(t *testing.T) {
	dir := t.TempDir()
	randomTree(t, 7, dir)
	for _, n := range []int64{0, 1, 5000, 100_000} {
		rc, err := dirSource(t, dir).Open(t.Context())
		must(t, err)
		if _, err := io.CopyN(io.Discard, rc, n); err != nil {
			t.Fatal(err)
		}
		must(t, rc.Close())
	}
}

func TestPlanStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := archive.DirSource(ctx, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Errorf("DirSource = %v, want %v", err, context.Canceled)
	}
}

func appendTo(t *testing.T, path, s string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteString(s)
	must(t, errors.Join(err, f.Close()))
}

// replace puts another file of the same size and time in the place of path.
func replace(t *testing.T, path string) {
	t.Helper()
	fi, err := os.Stat(path)
	must(t, err)
	must(t, os.WriteFile(path+".new", make([]byte, fi.Size()), 0o600))
	must(t, os.Chtimes(path+".new", fi.ModTime(), fi.ModTime()))
	must(t, os.Rename(path+".new", path))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
