package publish

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"snapswarm/common/archive"
	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
)

// Source is what a snapshot is made of.
type Source struct {
	archive.Source
	// Kind is snapshot.KindFile or snapshot.KindTar.
	Kind string
	// Path is where the source lies, absolute; empty for a stream. That of a [Placeholder] leads nowhere.
	Path string
	// Base is the source's own name, from which the download name follows; empty for a stream.
	Base string
	// Fingerprint tells whether the source has changed, see [Fingerprint]; empty for a stream.
	Fingerprint string
	// Packed is the most that its archive takes, unless it is passed through; 0 when that is only known to be about the size.
	Packed int64
}

// room is what the archive of s may take on the disk.
func (c Config) room(s Source) int64 {
	if s.Packed > 0 && !c.PassThrough {
		return s.Packed
	}
	return s.Size()
}

// OpenSource looks at a file or a directory. Everything that can be found wrong without reading the data is found here;
// errors wrap those of package archive, or [ErrEmpty].
func OpenSource(ctx context.Context, path string) (Source, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Source{}, fmt.Errorf("open source %s: %w", path, err)
	}
	fi, err := os.Stat(abs)
	if err != nil {
		return Source{}, fmt.Errorf("open source: %w: %w", archive.ErrUnreadable, err)
	}
	s := Source{Kind: snapshot.KindFile, Path: abs, Base: filepath.Base(abs)}
	if s.Fingerprint, err = Fingerprint(ctx, abs); err != nil {
		return Source{}, err
	}
	if fi.IsDir() {
		s.Kind = snapshot.KindTar
		s.Source, err = archive.DirSource(ctx, abs)
	} else {
		s.Source, err = archive.FileSource(abs)
	}
	if err != nil {
		return s, err
	}
	return s, checkContent(abs, fi)
}

// checkContent refuses an empty file, and a tree without any file: a disk that was not mounted looks like that.
func checkContent(path string, fi os.FileInfo) error {
	if !fi.IsDir() {
		if fi.Size() == 0 {
			return fmt.Errorf("%w: %s is empty", ErrEmpty, path)
		}
		return nil
	}
	root, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("open source: %w: %w", archive.ErrUnreadable, err)
	}
	found := false
	err = filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			found = true
			return fs.SkipAll
		}
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("open source: %w: %w", archive.ErrUnreadable, err)
	case !found:
		return fmt.Errorf("%w: there is no file in %s", ErrEmpty, path)
	}
	return nil
}

// StreamSource publishes what r yields. Its raw name is the download name without the suffix of its compression, so the
// download name must be known.
func StreamSource(r io.Reader, name string, passThrough bool) (Source, error) {
	if name == "" {
		return Source{}, fmt.Errorf("%w: a stream has none of its own; set NAME", ErrName)
	}
	raw := name
	if !passThrough {
		raw = strings.TrimSuffix(name, ".zst")
	}
	return Source{Kind: snapshot.KindFile, Source: archive.ReaderSource(raw, r)}, nil
}

// downloadName is the file name that users will see.
func (c Config) downloadName(s Source) (string, error) {
	name := c.Name
	switch {
	case c.PassThrough && s.Kind == snapshot.KindTar:
		return "", fmt.Errorf("%w: a directory cannot be passed through as it is; set COMPRESSION to a level", ErrName)
	case name != "":
	case c.PassThrough:
		name = s.Base
	case s.Kind == snapshot.KindTar:
		name = s.Base + ".tar.zst"
	default:
		name = s.Base + ".zst"
	}
	return name, CheckName(name)
}

// CheckName accepts what can be a download name: one harmless path element that does not look like something else in the
// bucket. The error wraps [ErrName].
func CheckName(name string) error {
	if err := snapshot.CheckFileName(name); err != nil {
		return fmt.Errorf("%w: %w; set NAME", ErrName, err)
	}
	key := bucket.ArchiveKey("x", snapshot.NewVersion(epoch(), 0), name)
	if o, err := bucket.ParseKey(key); err != nil || o.Kind != bucket.KindArchive {
		return fmt.Errorf("%w: %q means a torrent or a patch; set NAME to another one", ErrName, name)
	}
	return nil
}
