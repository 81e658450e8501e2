package peer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrInUse means that another process works on the same data folder.
var ErrInUse = errors.New("data folder is in use by another process")

// dirLock keeps a second process out of a data folder. The lock goes with the process, however it ends.
type dirLock struct{ file *os.File }

func lockDir(dir string) (*dirLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w%s", dir, ErrInUse, holder(f))
		}
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0) // only to name the holder in messages
	}
	return &dirLock{f}, nil
}

func holder(f *os.File) string {
	b := make([]byte, 20)
	n, err := f.ReadAt(b, 0)
	if pid, convErr := strconv.Atoi(string(b[:n])); convErr == nil && (err == nil || errors.Is(err, io.EOF)) {
		return fmt.Sprintf(" (pid %d)", pid)
	}
	return ""
}

func (l *dirLock) release() error { return l.file.Close() }
