package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
)

// keys are the names of a snapshot's objects in the bucket.
type keys struct{ archive, torrent, byHash string }

func (r *run) keys() keys {
	k := keys{
		archive: bucket.ArchiveKey(r.cfg.Salt, r.version, r.file),
		torrent: bucket.TorrentKey(r.cfg.Salt, r.version, r.file),
	}
	if r.torrent != nil {
		k.byHash = bucket.InfoHashKey(r.torrent.InfoHash)
	}
	return k
}

// upload stores the archive, then its torrent under both names: whoever finds a torrent finds the data, too.
func (r *run) upload(ctx context.Context) error {
	k := r.keys()
	g, both := errgroup.WithContext(ctx)
	g.Go(func() error { return r.uploadArchive(both, k.archive) })
	if r.resumed { // it has lain here for some time; the upload reads all of it anyway
		g.Go(func() error { return r.verify(both) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	torrent := r.torrent.Encode()
	for _, key := range []string{k.torrent, k.byHash} {
		if err := put(ctx, r.cfg.Store, key, torrent); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) uploadArchive(ctx context.Context, key string) error {
	task := r.cfg.Progress(ctx, "upload", r.torrent.Length)
	defer task.Cancel()
	o := bucket.Defaults(key)
	o.Progress = task.Set
	err := r.cfg.Store.PutFile(ctx, key, r.archivePath(), o)
	var refused *bucket.Error
	switch {
	case err == nil:
		task.Done()
	case ctx.Err() == nil && !errors.As(err, &refused): // then it is the file that cannot be read
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return err
}

// put stores a small object with the metadata that readers expect.
func put(ctx context.Context, s bucket.Store, key string, b []byte) error {
	return s.Put(ctx, key, bytes.NewReader(b), int64(len(b)), bucket.Defaults(key))
}

// attemptKeys are the objects that an unfinished publication may have left under its version.
func attemptKeys(salt string, a attempt) []string {
	return []string{bucket.ArchiveKey(salt, a.Version, a.File), bucket.TorrentKey(salt, a.Version, a.File)}
}

// infoHashKey is the copy of an attempt's torrent by its info-hash, which the journal has checked.
func infoHashKey(a attempt) string {
	ih, _ := snapshot.ParseInfoHash(a.InfoHash)
	return bucket.InfoHashKey(ih)
}
