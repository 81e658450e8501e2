package publish

import (
	"errors"
	"fmt"
	"os"

	"snapswarm/common/durable"
)

// flushEvery is how many bytes are written before the kernel is asked to bring them to the disk: the fsync at the end then has
// little left to do, and no gigabytes of dirty pages collect that would stall everything else.
const flushEvery = 8 << 20

// archiveFile is a file in the making: written under a temporary name beside its final one, on its way to the disk all the
// time, renamed when complete. One goroutine writes it.
type archiveFile struct {
	file    *os.File
	final   string
	written int64
	flushed int64 // what the kernel was asked for
}

// partName is the temporary name of the file at path. Names that begin with a dot are no snapshots'.
func partName(dir, file string) string { return dir + string(os.PathSeparator) + "." + file + ".part" }

// createArchive begins the file dir/name, which must not exist.
func createArchive(dir, name string) (*archiveFile, error) {
	f, err := os.OpenFile(partName(dir, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create archive: %w", err)
	}
	return &archiveFile{file: f, final: dir + string(os.PathSeparator) + name}, nil
}

// Write appends p.
func (a *archiveFile) Write(p []byte) (int, error) {
	n, err := a.file.Write(p)
	a.written += int64(n)
	if a.written-a.flushed >= flushEvery {
		startFlush(a.file, a.flushed, a.written)
		a.flushed = a.written
	}
	return n, err
}

// commit makes the file durable under its final name. The file is closed either way.
func (a *archiveFile) commit() error {
	if err := errors.Join(a.file.Sync(), a.file.Close()); err != nil {
		_ = os.Remove(a.file.Name())
		return fmt.Errorf("write archive: %w", err)
	}
	if err := durable.Rename(a.file.Name(), a.final); err != nil {
		_ = os.Remove(a.file.Name())
		return fmt.Errorf("finish archive: %w", err)
	}
	return nil
}

// discard removes the unfinished file.
func (a *archiveFile) discard() {
	_ = a.file.Close()
	_ = os.Remove(a.file.Name())
}
