package publish

import (
	"context"
	"time"
)

// lookBack is how long the torrent of the snapshot before is asked for: only a warning depends on it.
const lookBack = 10 * time.Second

// warnOfNewName tells when the download name is another one than that of the snapshot before, because links to latest hold
// the name. A torrent that cannot be read, or that another program made, is no reason not to publish.
func (r *run) warnOfNewName(ctx context.Context) {
	if r.known.record.Seq == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookBack)
	defer cancel()
	before, err := findTorrent(ctx, r.known.pointer, r.cfg.Store, r.cfg.Public)
	if err != nil {
		r.cfg.Log.DebugContext(ctx, "the download name before is unknown", "channel", r.cfg.Salt, "error", err)
		return
	}
	if before.Name == r.file {
		return
	}
	r.report.FileBefore = before.Name
	r.cfg.Log.WarnContext(ctx, "the download name changes: links to the old one break; set NAME (--name) to the old one to keep them",
		"channel", r.cfg.Salt, "old", before.Name, "new", r.file)
}
