package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/durable"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// maxVersionWait is how long a version's own second is waited for. One further ahead means that the clock has gone back,
// and then there is no point in waiting.
const maxVersionWait = 5 * time.Second

// reserve makes sure that the disk has room, and takes a version that nobody has.
func (r *run) reserve(ctx context.Context) error {
	if err := checkSpace(r.cfg.DataDir, r.cfg.room(r.req.Source)); err != nil {
		return err
	}
	v, err := r.freeVersion(ctx)
	if err != nil {
		return err
	}
	r.version = v
	if err := r.journal.begin(r.begun()); err != nil {
		return err
	}
	return durable.MkdirAll(r.versionDir(v), 0o755)
}

// freeVersion names the current second, or the first one after the newest snapshot when the clock has gone back. A
// second that is taken, here or in the bucket, is waited out.
func (r *run) freeVersion(ctx context.Context) (snapshot.Version, error) {
	now := r.cfg.Now()
	at := now.Truncate(time.Second)
	newest := r.known.pointer.Created
	if last, ok := r.journal.last(); ok && last.Version.Time().After(newest) { // it was withdrawn
		newest = last.Version.Time()
	}
	if !newest.IsZero() && !at.After(newest) {
		at = newest.Add(time.Second)
	}
	for {
		taken, err := r.taken(ctx, at)
		if err != nil {
			return "", err
		}
		if !taken {
			break
		}
		at = at.Add(time.Second)
	}
	switch ahead := at.Sub(now); {
	case ahead > pointer.MaxAhead:
		r.cfg.Log.WarnContext(ctx, "the clock of this machine is behind the newest snapshot; check it",
			"channel", r.cfg.Salt, "now", now.UTC(), "newest", r.known.pointer.Created)
	case ahead > 0 && ahead <= maxVersionWait:
		select {
		case <-time.After(ahead):
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	return snapshot.NewVersion(at, r.req.Height), nil
}

// taken reports whether any version of that second exists, with or without a height.
func (r *run) taken(ctx context.Context, at time.Time) (bool, error) {
	second := string(snapshot.NewVersion(at, 0))
	entries, err := os.ReadDir(filepath.Join(r.cfg.DataDir, r.cfg.Salt))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("look for versions: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), second) {
			return true, nil
		}
	}
	for _, err := range r.cfg.Store.List(ctx, bucket.ChannelPrefix(r.cfg.Salt)+second) {
		return err == nil, err
	}
	return false, nil
}
