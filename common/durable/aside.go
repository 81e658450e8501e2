package durable

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ErrDamaged means that what lies at the path of a small file cannot be one: it is too large, or no regular file.
var ErrDamaged = errors.New("damaged")

// ReadFile reads the file at path, of at most limit bytes. Errors wrap fs.ErrNotExist, [ErrDamaged], or are the system's.
func ReadFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err // names the path
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for its other end
		return nil, fmt.Errorf("read %s: %w: it is no regular file", path, ErrDamaged)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("read %s: %w: more than %d bytes", path, ErrDamaged, limit)
	}
	return b, nil
}

// SetAside moves what lies at path, whatever it is, out of the way, to path + ".corrupt", for people to look at. Of several over time
// the last is kept. It returns where.
func SetAside(path string) (aside string, err error) {
	aside = path + ".corrupt"
	if err := os.RemoveAll(aside); err != nil {
		return aside, fmt.Errorf("set %s aside: %w", path, err)
	}
	if err := os.Rename(path, aside); err != nil {
		return aside, fmt.Errorf("set %s aside: %w", path, err)
	}
	return aside, SyncDir(filepath.Dir(path))
}
