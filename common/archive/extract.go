package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"
)

// ExtractOptions is what was signed about an archive, and how to unpack it.
type ExtractOptions struct {
	RawSize   int64    // signed; nothing beyond it is ever written
	RawSHA256 [32]byte // signed; compared before anything becomes visible
	Chunk     int64    // signed; 0 = not known
	RawName   string   // of a single file: its name in the destination
	Tar       bool     // the raw data is a tree
	Workers   int      // decoders at once; 0 = one per core. Fewer run where more would exceed the memory bound.

	Progress func(raw int64) // if not nil: raw bytes unpacked so far, from one goroutine; must return quickly
}

// Extract unpacks the archive of size bytes in r into the directory dst: a single file becomes dst/RawName, a tree becomes
// the content of dst. dst is made if it is not there; what is there already is never overwritten (fs.ErrExist): a file of
// that name, or anything at all in the case of a tree (an empty directory and the lost+found of a fresh volume are fine).
//
// Everything is written to a temporary place beside its destination, compared with the signed size and hash, forced to disk
// and only then renamed, so that an extraction that fails or is cut off by a power loss leaves nothing half visible. What a
// killed one left behind (".<name>.extracting") is removed by the next into the same place; only one may run per dst at a
// time. If dst is a mount point, the temporary place is inside of it and its entries are renamed one by one at the end.
//
// Of permissions only "executable" is kept; owners are not, times of modification are.
//
// Errors: ErrNotSeekable, ErrCorrupt, ErrTooLong, ErrUnsafePath, ErrUnsupportedEntry, ErrTooManyEntries, fs.ErrExist, those
// of r and of the file system, and ctx's.
func Extract(ctx context.Context, r io.ReaderAt, size int64, dst string, o ExtractOptions) error {
	if o.RawSize < 0 {
		return fmt.Errorf("extract into %s: raw size %d: %w", dst, o.RawSize, ErrCorrupt)
	}
	rd, err := NewReader(r, size, Limits{RawSize: o.RawSize, Chunk: o.Chunk})
	if err != nil {
		return fmt.Errorf("extract into %s: %w", dst, err)
	}
	if o.Progress == nil {
		o.Progress = func(int64) {}
	}
	if o.Tar {
		err = extractTree(ctx, rd, dst, o)
	} else {
		err = extractFile(ctx, rd, dst, o)
	}
	if err != nil {
		return fmt.Errorf("extract into %s: %w", dst, err)
	}
	return nil
}

func extractTree(ctx context.Context, rd *Reader, dst string, o ExtractOptions) (err error) {
	p, err := placeTree(dst)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close(err == nil)) }()
	pr, pw := io.Pipe()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := rd.decodeVerified(ctx, pw, o)
		pw.CloseWithError(err)
		return err
	})
	g.Go(func() error {
		err := untar(ctx, pr, p.root, o.RawSize)
		pr.CloseWithError(err)
		return err
	})
	return g.Wait()
}

func extractFile(ctx context.Context, rd *Reader, dst string, o ExtractOptions) error {
	if err := checkRawName(o.RawName); err != nil {
		return err
	}
	if err := os.MkdirAll(dst, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dst)
	if err != nil {
		return err
	}
	defer root.Close()
	if _, err := root.Lstat(o.RawName); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("%s: %w", o.RawName, fs.ErrExist))
	}
	tmp := tempName(o.RawName)
	if err := root.RemoveAll(tmp); err != nil {
		return err
	}
	if err := writeFile(ctx, rd, root, tmp, o); err != nil {
		return errors.Join(err, root.RemoveAll(tmp))
	}
	if err := root.Rename(tmp, o.RawName); err != nil {
		return errors.Join(err, root.RemoveAll(tmp))
	}
	return syncDir(root, ".")
}

// writeFile writes and verifies all raw data; the file is durable when it returns.
func writeFile(ctx context.Context, rd *Reader, root *os.Root, name string, o ExtractOptions) (err error) {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := rd.decodeVerified(ctx, f, o); err != nil {
		return err
	}
	return f.Sync()
}

// decodeVerified writes all raw data to w and fails in the end if it is not what was signed.
func (r *Reader) decodeVerified(ctx context.Context, w io.Writer, o ExtractOptions) error {
	h := startHasher(16)
	var done int64
	err := r.decode(ctx, o.Workers, func(j *frameJob) error {
		defer j.done()
		j.refs.Add(1)
		h.add(j.raw, j.done)
		if err := writeRaw(w, j.raw); err != nil {
			return err
		}
		done += int64(len(j.raw))
		o.Progress(done)
		return nil
	})
	sum := h.sum()
	if err != nil {
		return err
	}
	if sum != o.RawSHA256 {
		return fmt.Errorf("%w: raw SHA-256 is %x, signed was %x", ErrCorrupt, sum, o.RawSHA256)
	}
	return nil
}

// checkRawName accepts one path element that any file system takes.
func checkRawName(name string) error {
	if !filepath.IsLocal(name) || name == "." || strings.ContainsAny(name, "/\\\x00") || len(name) > maxName || !utf8.ValidString(name) {
		return fmt.Errorf("raw name %q: %w", name, ErrUnsafePath)
	}
	return nil
}

// tempName is where name is written before it is complete.
func tempName(name string) string {
	const suffix = ".extracting"
	return "." + strings.ToValidUTF8(name[:min(len(name), maxName-len(suffix)-1)], "") + suffix
}
