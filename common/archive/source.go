package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Source is what is packed. Its methods are called by one goroutine at a time.
type Source interface {
	// Name is the name of the raw data: that of the file, or the directory's with ".tar".
	Name() string
	// Size is the exact number of raw bytes, -1 if that shows only at the end.
	Size() int64
	// Open starts a pass over the raw data. Reading ends with io.EOF only if the source is still what it was when the
	// Source was made, otherwise with ErrSourceChanged or ErrUnreadable and the name. Reads return when ctx ends.
	Open(ctx context.Context) (io.ReadCloser, error)
}

// fileState is what a file is compared by between the first look and the end of the read.
type fileState struct {
	size  int64
	mtime int64 // unix nanoseconds
	inode uint64
}

func stateOf(fi os.FileInfo) fileState {
	return fileState{size: fi.Size(), mtime: fi.ModTime().UnixNano(), inode: inodeOf(fi)}
}

// changed says what differs, as an ErrSourceChanged.
func (s fileState) changed(path string, now fileState) error {
	switch {
	case now == s:
		return nil
	case now.inode != s.inode:
		return fmt.Errorf("read %s: %w: replaced by another file", path, ErrSourceChanged)
	case now.size != s.size:
		return fmt.Errorf("read %s: %w: %d bytes instead of %d", path, ErrSourceChanged, now.size, s.size)
	}
	return fmt.Errorf("read %s: %w: modified at %s", path, ErrSourceChanged, time.Unix(0, now.mtime).UTC().Format(time.RFC3339))
}

type fileSource struct {
	path string
	fileState
}

// FileSource packs one regular file (a link to one is followed). The file must not change until the end of the read.
func FileSource(path string) (Source, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, sourceError(path, false, err)
	}
	fi, err := os.Stat(abs)
	if err != nil {
		return nil, sourceError(path, false, err)
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("pack %s: %w: %s", path, ErrUnsupportedEntry, kindOf(fi.Mode()))
	}
	return &fileSource{path: abs, fileState: stateOf(fi)}, nil
}

func (s *fileSource) Name() string { return filepath.Base(s.path) }
func (s *fileSource) Size() int64  { return s.size }

func (s *fileSource) Open(ctx context.Context) (io.ReadCloser, error) {
	f, err := os.OpenFile(s.path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, sourceError(s.path, true, err)
	}
	r := &fileReader{ctx: ctx, f: f, path: s.path, want: s.fileState, left: s.size}
	if err := r.check(); err != nil {
		_ = f.Close()
		return nil, err
	}
	r.look = func() (os.FileInfo, error) { return os.Stat(s.path) }
	return r, nil
}

// fileReader reads exactly the planned bytes of an open file and compares its state at the end.
type fileReader struct {
	ctx  context.Context
	f    *os.File
	path string
	want fileState
	left int64
	look func() (os.FileInfo, error) // the name at the end, besides the open file; nil = do not look
}

func (r *fileReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, context.Cause(r.ctx)
	}
	if r.left == 0 {
		if err := r.finish(); err != nil {
			return 0, err
		}
		return 0, io.EOF
	}
	n, err := r.f.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if errors.Is(err, io.EOF) {
		if err = r.check(); err == nil {
			err = fmt.Errorf("read %s: %w: ends %d bytes early", r.path, ErrSourceChanged, r.left)
		}
	} else if err != nil {
		err = sourceError(r.path, true, err)
	}
	return n, err
}

func (r *fileReader) finish() error {
	if err := r.check(); err != nil || r.look == nil {
		return err
	}
	fi, err := r.look()
	if err != nil {
		return sourceError(r.path, true, err)
	}
	return r.want.changed(r.path, stateOf(fi))
}

// check compares the open file with the plan.
func (r *fileReader) check() error {
	fi, err := r.f.Stat()
	if err != nil {
		return sourceError(r.path, true, err)
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("read %s: %w: now a %s", r.path, ErrSourceChanged, kindOf(fi.Mode()))
	}
	return r.want.changed(r.path, stateOf(fi))
}

func (r *fileReader) Close() error { return r.f.Close() }

// kindOf names what a file is, for people.
func kindOf(m os.FileMode) string {
	switch {
	case m.IsRegular():
		return "regular file"
	case m.IsDir():
		return "directory"
	case m&os.ModeSymlink != 0:
		return "symbolic link"
	case m&os.ModeNamedPipe != 0:
		return "named pipe"
	case m&os.ModeSocket != 0:
		return "socket"
	case m&os.ModeDevice != 0:
		return "device"
	}
	return "special file"
}
