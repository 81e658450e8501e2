package archive

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxName = 255  // bytes of a path element
	maxPath = 4096 // bytes of an entry's path
)

// untarrer unpacks one tar into a root. os.Root keeps every path inside, whatever lies there; nothing is opened that was
// there before, because files are only created and links are refused.
type untarrer struct {
	root    *os.Root
	buf     []byte
	dirs    []madeDir // with times to be set when nothing is written into them any more
	parent  string    // the directory that surely exists
	entries int64
	left    int64 // content that may still come
}

type madeDir struct {
	path  string
	mtime time.Time
}

// untar unpacks r, which holds at most limit bytes, and reads it to its end.
func untar(ctx context.Context, r io.Reader, root *os.Root, limit int64) error {
	u := &untarrer{root: root, buf: make([]byte, 256<<10), parent: ".", left: limit}
	most := min(limit/tarBlock, MaxEntries) // an entry takes a block at least
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return tarError(err)
		}
		if u.entries++; u.entries > most {
			return fmt.Errorf("entry %d of the tar: %w", u.entries, ErrTooManyEntries)
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := u.entry(h, tr); err != nil {
			return err
		}
	}
	if _, err := io.CopyBuffer(io.Discard, struct{ io.Reader }{r}, u.buf); err != nil { // for the hash over all of it
		return err
	}
	return u.finish()
}

func tarError(err error) error {
	switch {
	case errors.Is(err, tar.ErrInsecurePath):
		return fmt.Errorf("read tar: %w: %w", ErrUnsafePath, err)
	case errors.Is(err, tar.ErrHeader), errors.Is(err, tar.ErrFieldTooLong), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("read tar: %w: %w", ErrCorrupt, err)
	}
	return fmt.Errorf("read tar: %w", err)
}

func (u *untarrer) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader { // a comment, as git archive writes it
		return nil
	}
	name, err := cleanName(h.Name)
	if err != nil {
		return err
	}
	if err := checkKind(h); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		return u.makeDir(name, h.ModTime)
	}
	if name == "." {
		return fmt.Errorf("file %q: %w", h.Name, ErrUnsafePath)
	}
	if u.left -= h.Size; h.Size < 0 || u.left < 0 {
		return fmt.Errorf("file %q of %d bytes: %w", h.Name, h.Size, ErrTooLong)
	}
	return u.makeFile(name, h, content)
}

// checkKind refuses everything but plain files and directories. A sparse file would let a small tar fill a disk.
func checkKind(h *tar.Header) error {
	kind := ""
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir:
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") {
				kind = "sparse file"
			}
		}
	case tar.TypeLink:
		kind = "hard link"
	case tar.TypeSymlink:
		kind = "symbolic link"
	case tar.TypeChar, tar.TypeBlock:
		kind = "device"
	case tar.TypeFifo:
		kind = "named pipe"
	case tar.TypeGNUSparse:
		kind = "sparse file"
	default:
		kind = fmt.Sprintf("tar type %q", h.Typeflag)
	}
	if kind != "" {
		return fmt.Errorf("entry %q: %w: %s", h.Name, ErrUnsupportedEntry, kind)
	}
	return nil
}

// cleanName returns the slash-separated path of an entry, "." for the root. Only a leading "./" and a trailing "/" are
// tolerated, as tar itself writes them; anything else that is not plain is refused, not repaired.
func cleanName(name string) (string, error) {
	unsafe := func(why string) (string, error) { return "", fmt.Errorf("entry %q: %w: %s", name, ErrUnsafePath, why) }
	p := strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	switch {
	case p == "." || name == "./":
		return ".", nil
	case len(p) > maxPath:
		return "", fmt.Errorf("entry %q…: %w: %d bytes", p[:64], ErrUnsafePath, len(p))
	case !utf8.ValidString(p) || strings.ContainsRune(p, 0):
		return unsafe("not a file name")
	case !fs.ValidPath(p) || !filepath.IsLocal(filepath.FromSlash(p)):
		return unsafe("absolute, or not plain")
	}
	for elem := range strings.SplitSeq(p, "/") {
		if len(elem) > maxName {
			return unsafe("a name of more than 255 bytes")
		}
	}
	return p, nil
}

func (u *untarrer) makeDir(name string, mtime time.Time) error {
	if err := u.ensure(name); err != nil {
		return err
	}
	if name != "." {
		u.dirs = append(u.dirs, madeDir{name, mtime})
	}
	return nil
}

// ensure makes a directory and those above it, unless they are there.
func (u *untarrer) ensure(dir string) error {
	if dir == u.parent || dir == "." {
		return nil
	}
	if err := u.root.MkdirAll(filepath.FromSlash(dir), 0o755); err != nil {
		return taken(dir, err)
	}
	u.parent = dir
	return nil
}

func (u *untarrer) makeFile(name string, h *tar.Header, content io.Reader) (err error) {
	if err := u.ensure(path.Dir(name)); err != nil {
		return err
	}
	local := filepath.FromSlash(name)
	f, err := u.root.OpenFile(local, os.O_WRONLY|os.O_CREATE|os.O_EXCL, os.FileMode(fileMode(h.Mode&0o111 != 0)))
	if err != nil {
		return taken(name, err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err == nil {
			err = u.setTime(local, h.ModTime)
		}
	}()
	// Both sides are wrapped so that our buffer is used.
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{content}, u.buf)
	if err != nil {
		return tarError(err)
	}
	if n != h.Size {
		return fmt.Errorf("file %q has %d bytes instead of %d: %w", name, n, h.Size, ErrCorrupt)
	}
	return nil
}

// taken makes an ErrUnsafePath of a name that is used twice, or once as a file and once as a directory.
func taken(name string, err error) error {
	if errors.Is(err, fs.ErrExist) || isNotDir(err) {
		return fmt.Errorf("entry %q: %w: used twice: %w", name, ErrUnsafePath, err)
	}
	return err
}

// setTime restores a time of modification that a file system can hold, up to the year 2242.
func (u *untarrer) setTime(local string, t time.Time) error {
	if s := t.Unix(); s < 0 || s >= 1<<33 {
		return nil
	}
	return u.root.Chtimes(local, time.Time{}, t)
}

// finish sets the times of the directories, the inner ones first.
func (u *untarrer) finish() error {
	for i := len(u.dirs) - 1; i >= 0; i-- {
		if err := u.setTime(filepath.FromSlash(u.dirs[i].path), u.dirs[i].mtime); err != nil {
			return err
		}
	}
	return nil
}
