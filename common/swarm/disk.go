package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"snapswarm/common/durable"
)

// ErrDisk means that the snapshot's file cannot be written. Fetching pauses and goes on by itself when writing works again.
var ErrDisk = errors.New("disk cannot be written")

// ErrDiskFull is the kind of [ErrDisk] that goes away when space is made.
var ErrDiskFull = fmt.Errorf("%w: no space left", ErrDisk)

// dataFile is what is used of *os.File.
type dataFile interface {
	io.ReaderAt
	io.WriterAt
	io.Seeker
	io.Closer
	Fd() uintptr
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
}

// openData opens the regular file at path for reading and writing; it is created where missing.
func openData(path string) (dataFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o644)
	if err != nil {
		return nil, err // a *fs.PathError names the path
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("open %s: not a regular file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// asDiskError wraps what a write to path returned.
func asDiskError(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case durable.IsFull(err):
		return fmt.Errorf("%w: %s free, make space on the file system of %s: %w", ErrDiskFull, left(path), path, err)
	default:
		return fmt.Errorf("%w: %w", ErrDisk, err)
	}
}

// left is how much room there is beside path, in words.
func left(path string) string {
	n, err := durable.FreeSpace(filepath.Dir(path))
	if err != nil {
		return "an unknown number of bytes"
	}
	return fmt.Sprintf("%d bytes", n)
}

// diskState remembers that the disk refuses to be written. The zero value is a healthy disk.
type diskState struct {
	mu      sync.Mutex
	err     error
	resumed chan struct{} // closed when err becomes nil; set while err is not
}

// fail records err and reports whether the disk was healthy until now.
func (d *diskState) fail(err error) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		return false
	}
	d.err, d.resumed = err, make(chan struct{})
	return true
}

// resume declares the disk healthy.
func (d *diskState) resume() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		d.err = nil
		close(d.resumed)
	}
}

// failed is the error that the disk is in, or nil.
func (d *diskState) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// wait returns when the disk is healthy or ctx ends.
func (d *diskState) wait(ctx context.Context) error {
	d.mu.Lock()
	err, resumed := d.err, d.resumed
	d.mu.Unlock()
	if err == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-resumed:
		return nil
	}
}
