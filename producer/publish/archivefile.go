package publish

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"snapswarm/common/durable"
)

// syncEvery is how many bytes are written between two background fsyncs: the last one then has little left to do, and
// the kernel never collects gigabytes of dirty pages that would stall everything else.
const syncEvery = 64 << 20

// archiveFile is a file in the making: written under a temporary name beside its final one, flushed in the background,
// renamed when complete. One goroutine writes it.
type archiveFile struct {
	file  *os.File
	final string

	unsynced int64
	flush    chan struct{}
	flushed  sync.WaitGroup
	flushErr error // of the flusher; read after flushed
}

// partName is the temporary name of the file at path. Names that begin with a dot are no snapshots'.
func partName(dir, file string) string { return dir + string(os.PathSeparator) + "." + file + ".part" }

// createArchive begins the file dir/name, which must not exist.
func createArchive(dir, name string) (*archiveFile, error) {
	f, err := os.OpenFile(partName(dir, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create archive: %w", err)
	}
	a := &archiveFile{file: f, final: dir + string(os.PathSeparator) + name, flush: make(chan struct{}, 1)}
	a.flushed.Go(func() {
		for range a.flush {
			a.flushErr = errors.Join(a.flushErr, f.Sync())
		}
	})
	return a, nil
}

// Write appends p.
func (a *archiveFile) Write(p []byte) (int, error) {
	n, err := a.file.Write(p)
	if a.unsynced += int64(n); a.unsynced >= syncEvery {
		a.unsynced = 0
		select {
		case a.flush <- struct{}{}:
		default: // one is waiting already
		}
	}
	if err != nil {
		return n, fmt.Errorf("write archive: %w", err)
	}
	return n, nil
}

// commit makes the file durable under its final name. The file is closed either way.
func (a *archiveFile) commit() error {
	close(a.flush)
	a.flushed.Wait()
	if err := errors.Join(a.flushErr, a.file.Sync(), a.file.Close()); err != nil {
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
	close(a.flush)
	a.flushed.Wait()
	_ = a.file.Close()
	_ = os.Remove(a.file.Name())
}
