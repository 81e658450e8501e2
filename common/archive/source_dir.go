package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"unicode/utf8"
)

// treeEntry is one planned file or directory of a tree.
type treeEntry struct {
	path string // slash-separated, relative to the root
	fileState
	dir, exec bool
}

type dirSource struct {
	path    string
	entries []treeEntry // in the order of the tar
	size    int64
}

// DirSource packs the tree below path as a deterministic tar (FORMAT.md). It looks at every entry before anything is read:
// the size is exact, and if there is anything but regular files and directories, or a name that is not UTF-8, the error is
// an *UnsupportedError that lists all of it. A tree that changes in any way until the end of the read, also by an entry that
// comes or goes, is an ErrSourceChanged. Links out of the tree are never followed.
func DirSource(ctx context.Context, path string) (Source, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, sourceError(path, false, err)
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, sourceError(path, false, err)
	}
	defer root.Close()
	s := &dirSource{path: abs}
	if err := s.plan(ctx, root); err != nil {
		return nil, err
	}
	return s, nil
}

// Name is the directory's base name with ".tar".
func (s *dirSource) Name() string {
	base := filepath.Base(s.path)
	if base == string(filepath.Separator) || base == "." {
		base = "root"
	}
	return base + ".tar"
}

func (s *dirSource) Size() int64 { return s.size }

// plan walks the tree in lexical order per directory, each directory before what is in it.
func (s *dirSource) plan(ctx context.Context, root *os.Root) error {
	bad := &UnsupportedError{Root: s.path}
	err := fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return s.walkError(ctx, path, err)
		}
		if kind := unsupported(path, d); kind != "" {
			bad.Entries = append(bad.Entries, Unsupported{Path: path, Kind: kind})
			return skip(d)
		}
		return s.add(path, d)
	})
	if err != nil {
		return err
	}
	if len(bad.Entries) > 0 {
		return bad
	}
	s.size += tarTrailer
	return nil
}

func (s *dirSource) walkError(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("plan %s: %w", s.path, context.Cause(ctx))
	}
	return sourceError(s.full(path), false, err)
}

// add plans one entry and counts its bytes in the tar.
func (s *dirSource) add(name string, d fs.DirEntry) error {
	fi, err := d.Info()
	if err != nil {
		return sourceError(s.full(name), true, err)
	}
	if len(s.entries) == MaxEntries {
		return fmt.Errorf("plan %s: %w: at most %d fit, pack them into fewer files", s.path, ErrTooManyEntries, MaxEntries)
	}
	e := treeEntry{path: name, fileState: stateOf(fi), dir: d.IsDir(), exec: fi.Mode()&0o111 != 0}
	if e.dir {
		e.size = 0 // what a directory takes on disk says nothing
	}
	if name != "." {
		head, err := tarHeader(e)
		if err != nil {
			return fmt.Errorf("plan %s: %w", s.full(name), err)
		}
		s.size += int64(len(head)) + e.size + tarPadding(e.size)
	}
	s.entries = append(s.entries, e)
	return nil
}

func (s *dirSource) full(path string) string { return filepath.Join(s.path, filepath.FromSlash(path)) }

// unsupported names the reason why an entry cannot be packed, if there is one.
func unsupported(path string, d fs.DirEntry) string {
	switch {
	case !utf8.ValidString(path):
		return "name is not UTF-8"
	case !d.Type().IsRegular() && !d.IsDir():
		return kindOf(d.Type())
	}
	return ""
}

func skip(d fs.DirEntry) error {
	if d.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// Open starts reading the tree; see treeReader.
func (s *dirSource) Open(ctx context.Context) (io.ReadCloser, error) {
	root, err := os.OpenRoot(s.path)
	if err != nil {
		return nil, sourceError(s.path, true, err)
	}
	return newTreeReader(ctx, s, root), nil
}

// verify compares every entry with the plan once more, after all of them were read: what was read first must not have
// changed while the rest was. A file's name says more than that of the directory it lies in, so those come second.
func (s *dirSource) verify(ctx context.Context, root *os.Root) error {
	var inDir error
	dir := newSharedDir(root, ".")
	defer func() { dir.release() }()
	for _, e := range s.entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if name := path.Dir(e.path); name != dir.path {
			dir.release()
			dir = newSharedDir(root, name)
		}
		err := s.verifyEntry(dir, e)
		if err != nil && !e.dir {
			return err
		}
		if inDir == nil {
			inDir = err
		}
	}
	return inDir
}

func (s *dirSource) verifyEntry(dir *sharedDir, e treeEntry) error {
	full := s.full(e.path)
	fi, err := dir.lstat(path.Base(e.path))
	if err != nil {
		return sourceError(full, true, err)
	}
	now := stateOf(fi)
	if e.dir {
		now.size = 0
	}
	if fi.IsDir() && now.inode == e.inode && now.mtime != e.mtime {
		return fmt.Errorf("read %s: %w: entries were added or removed", full, ErrSourceChanged)
	}
	return e.changed(full, now)
}

// errStopped ends the read-ahead of a tree reader that was closed.
var errStopped = errors.New("tree reader closed")
