package follow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"snapswarm/common/archive"
	"snapswarm/common/daemon"
	"snapswarm/common/durable"
	"snapswarm/common/snapshot"
)

// latestLink is a symbolic link to the newest version that was unpacked.
const latestLink = "latest"

// unpacker extracts archives of one channel, each into a folder named after its version. Package archive makes the content
// appear all at once. A small file beside it, ".<version>", says that we made it; whatever has none is somebody else's and
// is neither overwritten nor removed.
type unpacker struct {
	dir   string
	disks disks
	log   *slog.Logger
}

// newUnpacker puts the versions of a channel below EXTRACT_DIR/<salt>, by default DATA_DIR/<salt>/extracted.
func newUnpacker(cfg Config, salt string, log *slog.Logger) *unpacker {
	dir := filepath.Join(cfg.DataDir, salt, "extracted")
	if cfg.ExtractDir != "" {
		dir = filepath.Join(cfg.ExtractDir, salt)
	}
	return &unpacker{dir: dir, disks: cfg.disks, log: log}
}

func (u *unpacker) folder(v snapshot.Version) string { return filepath.Join(u.dir, string(v)) }
func (u *unpacker) marker(v snapshot.Version) string { return filepath.Join(u.dir, "."+string(v)) }

// target is what appears when cp was unpacked: the folder of a tree, or the file in it.
func (u *unpacker) target(cp Copy) string {
	if d := cp.Torrent().Description; d != nil && d.Kind == snapshot.KindFile {
		return filepath.Join(u.folder(cp.Version()), d.RawName)
	}
	return u.folder(cp.Version())
}

// ours reports whether the folder of cp was made here, from this very archive.
func (u *unpacker) ours(cp Copy) bool {
	b, err := os.ReadFile(u.marker(cp.Version()))
	return err == nil && strings.TrimSpace(string(b)) == cp.Torrent().InfoHash.String()
}

// done reports whether cp was unpacked already.
func (u *unpacker) done(cp Copy) bool { return u.ours(cp) && exists(u.target(cp)) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// run unpacks cp, which is complete and verified, and returns where. It is nothing but that path if it was done before.
func (u *unpacker) run(ctx context.Context, cp Copy, progress *daemon.Progress, label string) (string, error) {
	target, d := u.target(cp), cp.Torrent().Description
	if u.done(cp) {
		return target, u.link(cp.Version())
	}
	if err := u.check(cp, target); err != nil {
		return "", err
	}
	if err := u.claim(cp); err != nil {
		return "", err
	}
	task := progress.Start(label, d.RawSize)
	defer task.Cancel()
	if err := u.extract(ctx, cp, task); err != nil {
		if !errors.Is(err, ErrDisk) && ctx.Err() == nil {
			_ = os.Remove(u.marker(cp.Version()))
			_ = os.Remove(u.folder(cp.Version())) // only if it is empty, as that of a single file now is
		}
		return "", err
	}
	task.Done()
	u.log.InfoContext(ctx, "snapshot unpacked", "version", cp.Version(), "path", target)
	// Once more, so that the marker is younger than everything that was unpacked; see untouched.
	return target, errors.Join(u.claim(cp), u.link(cp.Version()))
}

// check finds what makes the attempt pointless.
func (u *unpacker) check(cp Copy, target string) error {
	d := cp.Torrent().Description
	switch {
	case d == nil:
		return fmt.Errorf("%w: the torrent does not describe its content: use %s as it is", ErrNotPacked, cp.Path())
	case d.Codec.Format != snapshot.FormatZstd:
		return fmt.Errorf("%w: the publisher passed the file through (codec %q): use %s as it is", ErrNotPacked, d.Codec.Format, cp.Path())
	case d.Kind != snapshot.KindFile && d.Kind != snapshot.KindTar:
		return fmt.Errorf("%w: this program does not know archives of kind %q: a newer one may", ErrNotPacked, d.Kind)
	case exists(target):
		return fmt.Errorf("%w: %s exists and was not unpacked here: move it away, or choose another EXTRACT_DIR", ErrOccupied, target)
	}
	return u.disks.room(u.dir, "unpacking "+string(cp.Version()), d.RawSize)
}

// claim says beforehand that what appears in the folder is ours.
func (u *unpacker) claim(cp Copy) error {
	err := durable.MkdirAll(u.dir, 0o755)
	if err == nil {
		err = durable.WriteFile(u.marker(cp.Version()), []byte(cp.Torrent().InfoHash.String()+"\n"), 0o644)
	}
	if err != nil {
		return fmt.Errorf("%w: unpack %s: %w", ErrDisk, cp.Version(), err)
	}
	return nil
}

func (u *unpacker) extract(ctx context.Context, cp Copy, task *daemon.Task) error {
	f, err := os.Open(cp.Path())
	if err != nil {
		return fmt.Errorf("%w: unpack %s: %w", ErrDisk, cp.Version(), err)
	}
	defer f.Close()
	d := cp.Torrent().Description
	err = archive.Extract(ctx, f, cp.Torrent().Length, u.folder(cp.Version()), archive.ExtractOptions{
		RawSize: d.RawSize, RawSHA256: d.RawSHA256, Chunk: d.Codec.Chunk,
		RawName: d.RawName, Tar: d.Kind == snapshot.KindTar, Progress: task.Set,
	})
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("unpack %s: %w", cp.Version(), context.Cause(ctx))
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: %w", ErrOccupied, err)
	case isForged(err):
		return fmt.Errorf("%w: unpack %s: %w", errContent, cp.Version(), err)
	case isDisk(err):
		return fmt.Errorf("%w: %w", ErrDisk, err)
	}
	return err
}

// errContent means that the archive cannot be what was signed, or that its publisher packed something else: nobody has looked
// which of the two.
var errContent = errors.New("unexpected content")

// isForged reports whether the content itself is at fault.
func isForged(err error) bool {
	for _, e := range []error{archive.ErrCorrupt, archive.ErrTooLong, archive.ErrUnsafePath, archive.ErrUnsupportedEntry, archive.ErrTooManyEntries} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// isDisk reports whether the file system is at fault.
func isDisk(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return errors.As(err, &path) || errors.As(err, &link)
}

// link lets EXTRACT_DIR/<salt>/latest point to v, in one step. Where links cannot be made, there is none.
func (u *unpacker) link(v snapshot.Version) error {
	path, temporary := filepath.Join(u.dir, latestLink), filepath.Join(u.dir, "."+latestLink)
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink == 0 {
		u.log.Warn("not a link, left alone", "path", path)
		return nil
	}
	if current, err := os.Readlink(path); err == nil && current == string(v) {
		return nil
	}
	_ = os.Remove(temporary)
	if err := os.Symlink(string(v), temporary); err != nil {
		u.log.Warn("no link to the newest version", "path", path, "err", err)
		return nil
	}
	return durable.Rename(temporary, path)
}

// prune removes what was unpacked from versions that are not to stay, except the one that the link names and what was
// changed since it was unpacked: somebody may be using it.
func (u *unpacker) prune(stay map[snapshot.Version]bool) error {
	entries, err := os.ReadDir(u.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for unpacked versions: %w", err)
	}
	newest, _ := os.Readlink(filepath.Join(u.dir, latestLink))
	var errs []error
	for _, e := range entries {
		name, hidden := strings.CutPrefix(e.Name(), ".")
		v, err := snapshot.ParseVersion(name)
		if !hidden || err != nil || stay[v] || string(v) == newest {
			continue
		}
		errs = append(errs, u.remove(v))
	}
	return errors.Join(errs...)
}

// remove deletes one unpacked version and its marker; the marker alone if the files are in use.
func (u *unpacker) remove(v snapshot.Version) error {
	folder, marker := u.folder(v), u.marker(v)
	if exists(folder) && !untouched(folder, marker) {
		u.log.Warn("unpacked files were changed since: they stay, remove them when nobody uses them", "path", folder)
	} else if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("remove unpacked %s: %w", v, err)
	}
	return os.Remove(marker)
}

// untouched reports whether nothing in folder is younger than its marker.
func untouched(folder, marker string) bool {
	made, err := os.Lstat(marker)
	if err != nil {
		return false
	}
	err = filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.ModTime().After(made.ModTime()) {
			err = fs.ErrExist // anything that ends the walk
		}
		return err
	})
	return err == nil
}
