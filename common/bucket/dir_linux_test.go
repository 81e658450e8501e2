package bucket_test

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"snapswarm/common/bucket"
)

func TestDirectoryPermissions(t *testing.T) {
	dir := t.TempDir()
	s := open(t, bucket.Config{URL: "file://" + dir})
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	if err := asNobody(func() error { return s.Check(t.Context()) }); !errors.Is(err, bucket.ErrDenied) {
		t.Errorf("Check of a directory that must not be written: %v, want ErrDenied", err)
	}
}

// asNobody runs f as a user who may not do everything, even if this is root. f must stay in its goroutine.
func asNobody(f func() error) error {
	if os.Geteuid() != 0 {
		return f()
	}
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine, no other one gets it
		err := unix.Setfsuid(65534)
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}
