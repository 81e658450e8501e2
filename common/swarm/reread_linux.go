package swarm

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// openDirect opens a file that is open already for reads that go to the disk itself and leave the page cache as it is: a scrubber
// must see what lies on the disk, not what is remembered of it, and must not push out what readers are served from.
func openDirect(f dataFile, info fs.FileInfo) (*os.File, error) {
	return openSame(procPath(f), unix.O_DIRECT, info)
}

// bufferReads turns that off for a file that was opened so, where the file system takes no direct reads after all.
func bufferReads(f *os.File) error {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, flags&^unix.O_DIRECT)
	return err
}

// preadAligned is ReadAt that does not go on after a part of a block, which only the end of a file has: what follows would not be
// aligned.
func preadAligned(f *os.File, b []byte, off int64) (n int, err error) {
	for n < len(b) && n%directAlign == 0 {
		m, err := unix.Pread(int(f.Fd()), b[n:], off+int64(n))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return n, &fs.PathError{Op: "read", Path: f.Name(), Err: err}
		case m == 0:
			return n, io.EOF
		}
		n += m
	}
	return n, nil
}
