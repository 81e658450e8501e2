package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
)

// retain removes what is no longer wanted, after a newer snapshot is out: versions beyond the number to keep, and what
// unfinished runs left in the bucket. What the pointer names, and anything newer, is never touched.
func (r *run) retain(ctx context.Context) error {
	for _, a := range r.journal.begun() { // first: they must not count as versions
		if err := r.removeAttempt(ctx, a); err != nil {
			return err
		}
	}
	held, err := r.versions(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, v := range surplus(held, r.version, r.cfg.Keep) {
		if err := r.remove(ctx, v); err != nil {
			errs = append(errs, fmt.Errorf("remove version %s: %w", v, err))
			continue
		}
		r.report.Removed = append(r.report.Removed, v)
		r.cfg.Log.InfoContext(ctx, "old version removed", "channel", r.cfg.Salt, "version", string(v))
	}
	return errors.Join(errs...)
}

// surplus is what of held goes when current and the keep-1 versions before it stay, oldest first.
func surplus(held []snapshot.Version, current snapshot.Version, keep int) []snapshot.Version {
	older := slices.DeleteFunc(slices.Clone(held), func(v snapshot.Version) bool { return v >= current })
	slices.Sort(older)
	older = slices.Compact(older)
	return older[:max(0, len(older)-(keep-1))]
}

// versions are all that lie in the bucket or on this disk, in any order.
func (p *Publisher) versions(ctx context.Context) ([]snapshot.Version, error) {
	seen := make(map[snapshot.Version]bool)
	for info, err := range p.cfg.Store.List(ctx, bucket.ChannelPrefix(p.cfg.Salt)) {
		if err != nil {
			return nil, err
		}
		if o, err := bucket.ParseKey(info.Key); err == nil && o.Version != "" {
			seen[o.Version] = true
		}
	}
	entries, err := os.ReadDir(filepath.Join(p.cfg.DataDir, p.cfg.Salt))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for versions: %w", err)
	}
	for _, e := range entries {
		if v, err := snapshot.ParseVersion(e.Name()); err == nil && e.IsDir() {
			seen[v] = true
		}
	}
	all := make([]snapshot.Version, 0, len(seen))
	for v := range seen {
		all = append(all, v)
	}
	return all, nil
}

// remove deletes a version everywhere. The torrent goes last: while it is there, an interrupted removal knows the name
// of the copy by info-hash.
func (r *run) remove(ctx context.Context, v snapshot.Version) error {
	var objects []string
	for info, err := range r.cfg.Store.List(ctx, bucket.VersionPrefix(r.cfg.Salt, v)) {
		if err != nil {
			return err
		}
		objects = append(objects, info.Key)
	}
	torrents := slices.DeleteFunc(slices.Clone(objects), func(key string) bool { return !strings.HasSuffix(key, ".torrent") })
	var first []string
	for _, key := range torrents {
		t, err := r.torrentOf(ctx, key)
		if err != nil && !errors.Is(err, snapshot.ErrBadTorrent) { // a damaged one must not keep the rest alive
			return err
		}
		if err == nil {
			first = append(first, bucket.InfoHashKey(t.InfoHash))
		}
	}
	rest := slices.DeleteFunc(objects, func(key string) bool { return slices.Contains(torrents, key) })
	if err := r.delete(ctx, slices.Concat(first, rest, torrents)); err != nil {
		return err
	}
	if r.cfg.Network != nil {
		if err := r.cfg.Network.Drop(ctx, v); err != nil {
			return err
		}
	}
	return os.RemoveAll(r.versionDir(v))
}

func (r *run) torrentOf(ctx context.Context, key string) (*snapshot.Torrent, error) {
	b, err := r.cfg.Store.Get(ctx, key, snapshot.MaxTorrentSize)
	if err != nil {
		return nil, err
	}
	return snapshot.ParseTorrent(b)
}

func (r *run) delete(ctx context.Context, objects []string) error {
	for _, key := range objects {
		if err := r.cfg.Store.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// removeAttempt deletes what an unfinished run left in the bucket; its files on this disk went before. Another producer
// with this key may have taken the same version, so only what is known to be ours goes.
func (r *run) removeAttempt(ctx context.Context, a attempt) error {
	if a.InfoHash == "" || a.InfoHash == r.known.pointer.InfoHash.String() {
		// Nothing was stored, or it did get as far as the pointer and only the journal did not hear of it.
		return r.journal.forget(a.Version)
	}
	if err := r.sweep(ctx, bucket.ArchiveKey(r.cfg.Salt, a.Version, a.File)); err != nil {
		return fmt.Errorf("remove what is left of %s: %w", a.Version, err)
	}
	objects := []string{infoHashKey(a)} // whose content its name says
	ours, err := r.isStored(ctx, a)
	if ours {
		objects = append(attemptKeys(r.cfg.Salt, a), objects...)
	}
	if err == nil {
		err = r.delete(ctx, objects)
	}
	if err != nil {
		return fmt.Errorf("remove what is left of %s: %w", a.Version, err)
	}
	return r.journal.forget(a.Version)
}

// isStored reports whether the archive and the torrent that lie in the bucket under the attempt's version are its own.
// Where the upload ended before the torrent, the archive's size has to do.
func (r *run) isStored(ctx context.Context, a attempt) (bool, error) {
	t, err := r.torrentOf(ctx, bucket.TorrentKey(r.cfg.Salt, a.Version, a.File))
	switch {
	case err == nil:
		return t.InfoHash.String() == a.InfoHash, nil
	case errors.Is(err, snapshot.ErrBadTorrent):
		return false, nil
	case !errors.Is(err, bucket.ErrNotFound):
		return false, err
	}
	info, err := r.cfg.Store.Stat(ctx, bucket.ArchiveKey(r.cfg.Salt, a.Version, a.File))
	if errors.Is(err, bucket.ErrNotFound) {
		return false, nil
	}
	return err == nil && info.Size == a.Size, err
}
