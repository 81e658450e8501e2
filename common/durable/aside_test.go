package durable_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"snapswarm/common/durable"
)

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		path string
		want string
		err  error
	}{
		"small":      {file("small", "1234"), "1234", nil},
		"empty":      {file("empty", ""), "", nil},
		"too large":  {file("large", "12345"), "", durable.ErrDamaged},
		"a folder":   {dir, "", durable.ErrDamaged},
		"a pipe":     {pipe, "", durable.ErrDamaged},
		"is missing": {filepath.Join(dir, "missing"), "", fs.ErrNotExist},
	} {
		got, err := durable.ReadFile(tt.path, 4)
		if string(got) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: ReadFile = %q, %v, want %q, %v", name, got, err, tt.want, tt.err)
		}
		if err != nil && !strings.Contains(err.Error(), tt.path) {
			t.Errorf("%s: the error %q does not name the file", name, err)
		}
	}
}

func TestSetAsideKeepsTheLast(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	makers := []func() error{
		func() error { return os.WriteFile(path, []byte("first"), 0o600) },
		func() error { return os.MkdirAll(filepath.Join(path, "with something in it"), 0o700) },
		func() error { return os.Symlink("nowhere", path) },
		func() error { return os.WriteFile(path, []byte("last"), 0o600) },
	}
	for i, put := range makers {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		aside, err := durable.SetAside(path)
		if err != nil || aside != path+".corrupt" {
			t.Errorf("SetAside of the thing %d = %q, %v", i, aside, err)
		}
		wantEntries(t, dir, "state.corrupt")
	}
	if got := read(t, path+".corrupt"); got != "last" {
		t.Errorf("set aside is %q, want the last", got)
	}
	if _, err := durable.SetAside(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SetAside of what is missing = %v", err)
	}
}
