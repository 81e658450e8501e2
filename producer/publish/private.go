package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrPrivate means that a source is, or holds, something that must not become part of a snapshot.
var ErrPrivate = errors.New("cannot be published")

// Private is a file or folder that no snapshot may hold: a key, or what the publisher itself writes to.
type Private struct {
	Name string // of the setting that names it
	Path string // need not exist yet
}

// CheckPrivate refuses a source that is or holds one of the private files and folders, under whatever name it lies there.
// The error is an [ErrPrivate] and names it. What cannot be looked at here is left to [OpenSource].
func CheckPrivate(ctx context.Context, source string, private []Private) error {
	wanted := existing(private)
	root, err := filepath.EvalSymlinks(source)
	if err != nil || len(wanted) == 0 {
		return nil //nolint:nilerr // there is nothing that could be packed
	}
	return filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return nil //nolint:nilerr // see above
		}
		fi, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // see above
		}
		return refuse(source, fi, wanted)
	})
}

// CheckPrivateFile is CheckPrivate for an open file, such as standard input.
func CheckPrivateFile(name string, fi os.FileInfo, private []Private) error {
	return refuse(name, fi, existing(private))
}

// landmark is what shows on disk that something private is near.
type landmark struct {
	Private
	info os.FileInfo
}

// existing finds the private files and folders on disk. Of one that is still to come, the folder that it will lie in
// stands for it: who holds that one holds both.
func existing(private []Private) []landmark {
	var found []landmark
	for _, p := range private {
		path, err := filepath.Abs(p.Path)
		if err != nil {
			continue
		}
		info, err := os.Stat(path)
		for ; errors.Is(err, fs.ErrNotExist) && path != filepath.Dir(path); info, err = os.Stat(path) {
			path = filepath.Dir(path)
		}
		if err == nil {
			found = append(found, landmark{p, info})
		}
	}
	return found
}

func refuse(source string, fi os.FileInfo, private []landmark) error {
	for _, p := range private {
		if os.SameFile(fi, p.info) {
			return fmt.Errorf("source %s %w: %s (%s) would become part of the snapshot; keep it elsewhere",
				source, ErrPrivate, p.Name, p.Path)
		}
	}
	return nil
}
