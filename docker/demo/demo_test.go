package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/daemon"
	"snapswarm/common/needs"
)

func TestEnvIsReadByAShell(t *testing.T) {
	sh := needs.Program(t, "sh")
	path := filepath.Join(t.TempDir(), "env")
	want := "magnet:?xs=a&s=b it's $HOME `id` \"q\" \\ end"
	if err := writeEnv(path, []string{"FIRST", "1", "CHANNEL", want}); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), sh, "-c", `. "$1"; printf %s "$CHANNEL"`, "sh", path).Output()
	if err != nil || string(out) != want {
		t.Errorf("the shell reads %q, %v; want %q", out, err, want)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v; want it private", info.Mode(), err)
	}
}

// tree makes a directory with a few files.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := errors.Join(
		os.MkdirAll(filepath.Join(dir, "a", "empty"), 0o755),
		os.WriteFile(filepath.Join(dir, "a", "run"), []byte("#!"), 0o755),
		os.WriteFile(filepath.Join(dir, "text"), []byte("text"), 0o600),
		os.WriteFile(filepath.Join(dir, "large"), make([]byte, 200<<10), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCompare(t *testing.T) {
	if n, err := compare(t.Context(), tree(t), tree(t)); err != nil || n != 6 {
		t.Errorf("compare of the same = %d, %v; want 6 entries", n, err)
	}
	for name, change := range map[string]func(dir string) error{
		"a missing file":   func(dir string) error { return os.Remove(filepath.Join(dir, "text")) },
		"a missing folder": func(dir string) error { return os.Remove(filepath.Join(dir, "a", "empty")) },
		"another file":     func(dir string) error { return os.WriteFile(filepath.Join(dir, "more"), nil, 0o600) },
		"another byte": func(dir string) error {
			b := make([]byte, 200<<10)
			b[len(b)-1] = 1
			return os.WriteFile(filepath.Join(dir, "large"), b, 0o600)
		},
		"another size":   func(dir string) error { return os.Truncate(filepath.Join(dir, "large"), 100) },
		"not executable": func(dir string) error { return os.Chmod(filepath.Join(dir, "a", "run"), 0o600) },
		"another kind": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "text")), os.Mkdir(filepath.Join(dir, "text"), 0o700))
		},
	} {
		dir := tree(t)
		if err := change(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := compare(t.Context(), tree(t), dir); err == nil {
			t.Errorf("%s: compare finds no difference", name)
		}
		if _, err := compare(t.Context(), dir, tree(t)); err == nil {
			t.Errorf("%s, the other way round: compare finds no difference", name)
		}
	}
}

func TestScreenShowsStepsWithoutATerminal(t *testing.T) {
	var out strings.Builder
	s := newScreen(&daemon.Terminal{Out: &out}, 2)
	ok := s.step(t.Context(), "first", func(_ context.Context, s *step) error {
		s.result("went %s", "well")
		return nil
	})
	bad := errors.New("bad")
	failed := s.step(t.Context(), "second", func(context.Context, *step) error { return bad })
	const want = "[1/2] first  0.0 s\n      went well\n[2/2] second  failed\n"
	if ok != nil || !errors.Is(failed, bad) || out.String() != want {
		t.Errorf("steps return %v, %v and show\n%swant\n%s", ok, failed, out.String(), want)
	}
}

func TestClip(t *testing.T) {
	for width, want := range map[int]string{-1: "", 0: "", 3: "äöü", 4: "äöüß", 9: "äöüß"} {
		if got := clip("äöüß", width); got != want {
			t.Errorf("clip to %d = %q, want %q", width, got, want)
		}
	}
}
