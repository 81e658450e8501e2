package peer

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"snapswarm/common/durable"
	"snapswarm/common/snapshot"
)

// discardedPrefix begins the names of folders that are being deleted. No version has such a name.
const discardedPrefix = ".discarded-"

// retire takes the folder of a version its name, durably, and returns the one that it has now. So whatever interrupts a removal, the
// next start finds either all of the version or what tidy deletes, and never an archive that nobody knows of.
func (p *Peer) retire(salt string, v snapshot.Version) (gone string, err error) {
	gone = filepath.Join(p.settings.DataDir, salt, discardedPrefix+string(v))
	if err := erase(gone); err != nil { // of an earlier version of that name
		return "", err
	}
	err = durable.Rename(p.versionDir(salt, v), gone)
	if _, e := os.Lstat(p.versionDir(salt, v)); errors.Is(e, fs.ErrNotExist) {
		err = nil // somebody else removed it; or only the fsync failed, which the next one makes up for
	}
	return gone, err
}

// erase tries twice: who could not delete a file once may be able to the next time.
func erase(path string) error {
	if err := os.RemoveAll(path); err == nil {
		return nil
	}
	return os.RemoveAll(path)
}

// tidy deletes what an interrupted process left behind in the folder of a channel. What cannot be deleted costs room, and stays for
// the next start.
func (p *Peer) tidy(ctx context.Context, salt string) {
	dir := filepath.Join(p.settings.DataDir, salt)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	errs := []error{err, durable.RemoveTemps(dir)}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case !e.IsDir():
		case strings.HasPrefix(e.Name(), discardedPrefix):
			errs = append(errs, erase(path))
		default:
			errs = append(errs, durable.RemoveTemps(path))
			removeUnbegun(path)
		}
	}
	if err := errors.Join(errs...); err != nil {
		p.log.WarnContext(ctx, "what an earlier run left cannot be removed", "channel", salt, "error", err)
	}
}

// removeUnbegun removes the folder of a version that did not get as far as its torrent. It fails when there is anything in it.
func removeUnbegun(path string) {
	if _, err := snapshot.ParseVersion(filepath.Base(path)); err == nil {
		_ = os.Remove(path)
	}
}
