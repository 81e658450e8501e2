package bucket_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snapswarm/common/bucket"
)

func TestPutFileLinksOnTheSameFileSystem(t *testing.T) {
	dir, source := t.TempDir(), filepath.Join(t.TempDir(), "archive")
	if err := os.WriteFile(source, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, bucket.Config{URL: "file://" + dir})
	for range 2 { // the second time both names are the same file already
		if err := s.PutFile(t.Context(), object, source, bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	one, err1 := os.Stat(source)
	two, err2 := os.Stat(filepath.Join(dir, object))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(one, two) {
		t.Error("the object is a copy, want a link")
	}
	if two.Mode().Perm() != 0o644 {
		t.Errorf("the object's mode is %v, want it readable for the web server", two.Mode())
	}
	if left, err := os.ReadDir(filepath.Join(dir, ".tmp")); err != nil || len(left) != 0 {
		t.Errorf("temporary files %v, %v; want none", left, err)
	}
}

func TestPutFileCopiesWhatItCannotLink(t *testing.T) {
	dir, folder := t.TempDir(), t.TempDir()
	source, link := filepath.Join(folder, "archive"), filepath.Join(folder, "link")
	if err := errors.Join(os.WriteFile(source, []byte("0123456789"), 0o600), os.Symlink(source, link)); err != nil {
		t.Fatal(err)
	}
	s := open(t, bucket.Config{URL: "file://" + dir})
	if err := s.PutFile(t.Context(), object, link, bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(filepath.Join(dir, object))
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o644 || info.Size() != 10 {
		t.Errorf("object of a symbolic link: %v, %v; want a readable file of 10 bytes", info, err)
	}
}

func TestLinksInTheDirectoryDoNotLeadOut(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := errors.Join(
		os.Symlink(outside, filepath.Join(dir, "demo")),
		os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	s := open(t, bucket.Config{URL: "file://" + dir})
	if err := putSmall(t, s); err == nil {
		t.Error("Put through a link that leads out succeeds")
	}
	if got, err := s.Get(t.Context(), "demo/secret", 100); err == nil {
		t.Errorf("Get through a link that leads out = %q", got)
	}
	if err := s.Delete(t.Context(), "demo/secret"); err == nil {
		t.Error("Delete through a link that leads out succeeds")
	}
	if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
		t.Errorf("outside are %v, %v; want it untouched", entries, err)
	}
}

func TestFileInTheWayIsNamed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "demo"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, bucket.Config{URL: "file://" + dir})
	err := putSmall(t, s)
	if err == nil || errors.Is(err, bucket.ErrNotFound) || !strings.Contains(err.Error(), "demo") {
		t.Errorf("Put below a file: %v, want an error that names it and is not ErrNotFound", err)
	}
}

func TestOldTemporaryFilesGoAtStart(t *testing.T) {
	dir := t.TempDir()
	old, fresh := filepath.Join(dir, ".tmp", "old"), filepath.Join(dir, ".tmp", "fresh")
	past := time.Now().Add(-48 * time.Hour)
	if err := errors.Join(
		os.Mkdir(filepath.Join(dir, ".tmp"), 0o755),
		os.WriteFile(old, nil, 0o600), os.WriteFile(fresh, nil, 0o600), os.Chtimes(old, past, past),
	); err != nil {
		t.Fatal(err)
	}
	s := open(t, bucket.Config{URL: "file://" + dir})
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old temporary file: %v, want it gone", err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Errorf("the fresh temporary file, perhaps another process's: %v, want it kept", err)
	}
	for info, err := range s.List(t.Context(), "") {
		t.Errorf("List shows %q, %v", info.Key, err)
	}
}

func TestSweepRemovesWhatNoProcessIsWriting(t *testing.T) {
	dir := t.TempDir()
	s := open(t, bucket.Config{URL: "file://" + dir})
	left := filepath.Join(dir, ".tmp", "left")
	if err := errors.Join(putSmall(t, s), os.WriteFile(left, make([]byte, 1000), 0o600)); err != nil {
		t.Fatal(err)
	}
	another := open(t, bucket.Config{URL: "file://" + dir})
	var during bucket.Swept
	o := bucket.PutOptions{Progress: func(int64) { during, _ = another.Sweep(t.Context(), "demo/") }}
	if err := s.Put(t.Context(), object, zeros{}, 100, o); err != nil || during != (bucket.Swept{}) {
		t.Errorf("put: %v, a Sweep meanwhile removed %+v; want nothing", err, during)
	}
	got, err := another.Sweep(t.Context(), "demo/")
	if want := (bucket.Swept{Uploads: 1, Bytes: 1000}); err != nil || got != want {
		t.Errorf("Sweep = %+v, %v; want %+v", got, err, want)
	}
	if info, err := s.Stat(t.Context(), object); err != nil || info.Size != 100 {
		t.Errorf("the object after it: %+v, %v", info, err)
	}
}
