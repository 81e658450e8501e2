// Package durable writes small files and directory entries so that they survive a crash or a power loss: when a
// function returns nil, the change is on disk, and at every moment before that the old state is intact.
//
// WriteFile does what the literature on crash consistency asks for: write a temporary file in the same directory, fsync
// it, rename it over the target, fsync the directory. Without the first fsync some file systems leave an empty file
// after a power loss; without the second one the rename itself may be lost.
//
// FreeSpace and IsFull are about the room that writing needs.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tempPrefix marks the files that an interrupted WriteFile leaves behind. RemoveTemps deletes them.
const tempPrefix = ".durable-"

// WriteFile replaces the file at path by one that holds data, with exactly the permissions perm (umask is not applied).
// A reader sees the old content or the new one, never a mix. The directory must exist. Concurrent calls for the same
// path are safe; the last rename wins. When path is a symbolic link, the link is replaced.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	tmp, err := writeTemp(filepath.Dir(path), data, perm)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := Rename(tmp, path); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

// writeTemp returns the path of a new file in dir whose bytes are on disk; its name in dir may not be yet.
func writeTemp(dir string, data []byte, perm fs.FileMode) (path string, err error) {
	f, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(data); err != nil {
		return "", err
	}
	if err := f.Chmod(perm); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}

// Rename moves oldpath to newpath, replacing it, and makes both directories durable. It does not fsync the content of
// oldpath: a caller that wrote it must have done so. Both paths must be on one file system.
func Rename(oldpath, newpath string) error {
	if err := os.Rename(oldpath, newpath); err != nil {
		return err // an *os.LinkError, which names both paths
	}
	oldDir, newDir := filepath.Dir(oldpath), filepath.Dir(newpath)
	if err := SyncDir(newDir); err != nil {
		return err
	}
	if filepath.Clean(oldDir) == filepath.Clean(newDir) {
		return nil
	}
	return SyncDir(oldDir)
}

// MkdirAll creates dir and all its missing parents with the permissions perm (before umask), each of them durable. It
// is nil when dir exists already.
func MkdirAll(dir string, perm fs.FileMode) error {
	info, err := os.Stat(dir)
	if err == nil {
		if !info.IsDir() {
			return fmt.Errorf("create directory %s: a file of that name is in the way", dir)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err // an *fs.PathError, which names the path
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := MkdirAll(parent, perm); err != nil {
		return err
	}
	if err := os.Mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncDir(parent)
}

// SyncDir makes the entries of dir durable: files created, renamed or removed in it before the call stay so.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

// RemoveTemps deletes what interrupted calls of WriteFile left in dir. Call it when nothing else writes there, at start.
func RemoveTemps(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("clean directory: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) && e.Type().IsRegular() {
			errs = append(errs, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}
