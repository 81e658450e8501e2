//go:build e2e

package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/needs"
)

// Where the checkout and its binaries lie; set once by TestMain.
var root, bin string

func TestMain(m *testing.M) {
	// The scripts of testdata share a module; nothing of it is to be left in the checkout.
	if err := os.Setenv("PYTHONDONTWRITEBYTECODE", "1"); err != nil {
		panic(err)
	}
	code, err := withBinaries(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withBinaries builds the commands as "make build" does, but into a folder of this run, so that no other run replaces them
// while they are used.
func withBinaries(run func() int) (code int, err error) {
	ctx := context.Background()
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return 1, fmt.Errorf("find the module: %w", err)
	}
	root = filepath.Dir(strings.TrimSpace(string(mod)))
	if bin = os.Getenv(namespaceEnv); bin != "" {
		return run(), nil
	}
	if bin, err = os.MkdirTemp("", "snapswarm-e2e-"); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bin)) }()
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", bin+string(filepath.Separator), "./producer", "./mirror", "./gateway")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build the commands: %w\n%s", err, out)
	}
	return run(), nil
}

// need is the path of a program that make e2e-deps installs.
func need(t *testing.T, program string) string {
	t.Helper()
	return needs.Program(t, program)
}

// missing ends a test that lacks what make e2e-deps installs.
func missing(t *testing.T, what string) {
	t.Helper()
	needs.Missing(t, what, "run make e2e-deps")
}

// ended is what a program left behind.
type ended struct {
	code           int
	stdout, stderr string
}

func (e ended) String() string {
	return fmt.Sprintf("exit code %d\nstdout: %s\nstderr: %s", e.code, e.stdout, e.stderr)
}

// program runs a program to its end, in dir.
func program(t *testing.T, ctx context.Context, dir, path string, args ...string) ended {
	t.Helper()
	cmd := exec.CommandContext(ctx, path, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%s %q: %v %v\n%s", path, args, err, context.Cause(ctx), stderr.String())
	}
	return ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must is program for those that have to succeed; it returns stdout.
func must(t *testing.T, ctx context.Context, dir, path string, args ...string) string {
	t.Helper()
	e := program(t, ctx, dir, path, args...)
	if e.code != 0 {
		t.Fatalf("%s %q: %s", path, args, e)
	}
	return e.stdout
}
