package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// place is where a tree is written before it becomes visible.
type place struct {
	root    *os.Root // the temporary directory
	tmp     string
	dst     string
	inside  bool // tmp is in dst, not beside it
	existed bool
}

// placeTree makes an empty temporary directory from which the tree can be renamed to dst without copying.
func placeTree(dst string) (*place, error) {
	dst, err := filepath.Abs(dst)
	if err != nil {
		return nil, err
	}
	p := &place{dst: dst, tmp: filepath.Join(filepath.Dir(dst), tempName(filepath.Base(dst)))}
	p.existed, err = emptyDir(dst)
	if err != nil {
		return nil, err
	}
	if p.existed {
		p.inside = !replaceable(dst)
	} else if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return nil, err
	}
	if p.inside {
		p.tmp = filepath.Join(dst, insideName)
	}
	if err := errors.Join(os.RemoveAll(p.tmp), os.Mkdir(p.tmp, 0o755)); err != nil {
		return nil, err
	}
	p.root, err = os.OpenRoot(p.tmp)
	return p, err
}

const (
	insideName = ".extracting"
	lostFound  = "lost+found" // of a fresh ext4 volume
)

// emptyDir reports whether dst is an empty directory; anything else that exists is an fs.ErrExist.
func emptyDir(dst string) (bool, error) {
	fi, err := os.Stat(dst)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !fi.IsDir() {
		return false, fmt.Errorf("%s: %w and is no directory", dst, fs.ErrExist)
	}
	entries, err := os.ReadDir(dst)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if e.Name() != insideName && e.Name() != lostFound {
			return false, fmt.Errorf("%s: %w and is not empty (%q)", dst, fs.ErrExist, e.Name())
		}
	}
	return true, nil
}

// replaceable finds out whether the empty directory dst can be replaced by another: not if it is a mount point or a link, if
// something is in it, or if the directory above may not be written.
func replaceable(dst string) bool {
	fi, err := os.Lstat(dst)
	if err != nil || !fi.IsDir() || os.Remove(dst) != nil {
		return false
	}
	return os.Mkdir(dst, fi.Mode().Perm()) == nil && os.Chmod(dst, fi.Mode().Perm()) == nil
}

// close makes the tree visible and durable, or removes it.
func (p *place) close(keep bool) error {
	defer p.root.Close()
	if !keep {
		return os.RemoveAll(p.tmp)
	}
	if err := syncTree(p.root); err != nil {
		return errors.Join(err, os.RemoveAll(p.tmp))
	}
	if err := p.commit(); err != nil {
		return errors.Join(err, os.RemoveAll(p.tmp))
	}
	return nil
}

func (p *place) commit() error {
	if p.inside {
		return p.moveUp()
	}
	if p.existed {
		fi, err := os.Lstat(p.dst)
		if err != nil {
			return err
		}
		if err := errors.Join(os.Chmod(p.tmp, fi.Mode().Perm()), os.Remove(p.dst)); err != nil {
			return err
		}
	}
	if err := os.Rename(p.tmp, p.dst); err != nil {
		return err
	}
	return syncPath(filepath.Dir(p.dst))
}

// moveUp renames every entry of the tree into the directory above it.
func (p *place) moveUp() error {
	dst, err := os.OpenRoot(p.dst)
	if err != nil {
		return err
	}
	defer dst.Close()
	entries, err := os.ReadDir(p.tmp)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == lostFound || e.Name() == insideName {
			return fmt.Errorf("entry %q: %w: taken by the destination", e.Name(), ErrUnsafePath)
		}
	}
	for _, e := range entries {
		if err := dst.Rename(filepath.Join(insideName, e.Name()), e.Name()); err != nil {
			return err
		}
	}
	return errors.Join(dst.Remove(insideName), syncDir(dst, "."))
}

func syncPath(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return syncDir(root, ".")
}

// syncDir makes the names in a directory durable.
func syncDir(root *os.Root, name string) error {
	d, err := root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
