// Package needs is for tests that need more than Go: a program, or a disk of their own. Where that is missing, a test is skipped
// and says what it lacks; where everything has to run (CI=true), it fails instead.
package needs

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Missing ends a test that lacks something; how says where to get it.
func Missing(tb testing.TB, what, how string) {
	tb.Helper()
	if os.Getenv("CI") == "true" {
		tb.Fatalf("needs %s: %s", what, how)
	}
	tb.Skipf("needs %s: %s", what, how)
}

// Program is the path of a program that make e2e-deps installs.
func Program(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getuid() != 0 { // what is only in root's PATH of Debian
		path, err = exec.LookPath(filepath.Join("/usr/sbin", name))
	}
	if err != nil {
		Missing(tb, name, "run make e2e-deps")
	}
	return path
}

// SmallDisk mounts a file system of the given size, such as "12m", for the time of the test. Only root may do that, or who becomes
// root without a password.
func SmallDisk(tb testing.TB, size string) (dir string) {
	tb.Helper()
	dir = tb.TempDir()
	if out, err := asRoot(tb.Context(), "mount", "-t", "tmpfs", "-o", "mode=0777,size="+size, "snapswarm-test", dir).CombinedOutput(); err != nil {
		Missing(tb, "to mount a small tmpfs", "run as root with that right, or with sudo without a password ("+err.Error()+": "+string(out)+")")
	}
	tb.Cleanup(func() {
		// Lazily, because a process that is being stopped may still have files open in it.
		if out, err := asRoot(context.WithoutCancel(tb.Context()), "umount", "-l", dir).CombinedOutput(); err != nil {
			tb.Errorf("unmount %s: %v: %s", dir, err, out)
		}
	})
	return dir
}

func asRoot(ctx context.Context, name string, args ...string) *exec.Cmd {
	if os.Geteuid() == 0 {
		return exec.CommandContext(ctx, name, args...)
	}
	return exec.CommandContext(ctx, "sudo", append([]string{"-n", name}, args...)...)
}
