package publish

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
)

// Rehearsal is what a publication would do.
type Rehearsal struct {
	File    string            `json:"file"`
	Version snapshot.Version  `json:"version"`  // if it began now
	RawSize int64             `json:"raw_size"` // -1 for a stream
	After   snapshot.InfoHash `json:"after"`    // zero for the first one
	Height  uint64            `json:"height,omitempty"`
	URL     string            `json:"url,omitempty"`
	// Retention is what would stay and go then. Sizes of the new version are not known.
	Retention Retention `json:"retention"`
}

// Rehearse does what a publication does before it reads the source, and plans what it does at the end. Nothing is changed,
// and neither the key nor the right to publish is needed: of cfg only the name, PassThrough and Public count.
func Rehearse(ctx context.Context, cfg Config, k Keeping, req Request) (Rehearsal, error) {
	file, err := cfg.downloadName(req.Source)
	if err != nil {
		return Rehearsal{}, err
	}
	if err := checkSpace(k.DataDir, cfg.room(req.Source)); err != nil && !errors.Is(err, fs.ErrNotExist) { // it is made later
		return Rehearsal{}, err
	}
	if err := k.Store.Check(ctx); err != nil {
		return Rehearsal{}, err
	}
	s, err := k.pointedStock(ctx)
	if err != nil {
		return Rehearsal{}, err
	}
	log := k.Log.With("channel", k.Channel.Salt)
	if err := checkHeight(ctx, log, req, s.height); err != nil {
		return Rehearsal{}, err
	}
	out := Rehearsal{File: file, Version: s.next(k.Now, req.Height), RawSize: req.Source.Size(), After: s.newest, Height: req.Height}
	if cfg.Public != nil {
		out.URL = cfg.Public.URL(bucket.ArchiveKey(k.Channel.Salt, out.Version, file))
	}
	s.publish(out.Version)
	out.Retention = s.plan(k.Keep, k.Now)
	out.Retention.Channel = k.Channel.String()
	return out, nil
}

// next is the name of a version that begins now.
func (s *stock) next(now time.Time, height uint64) snapshot.Version {
	for _, h := range s.held {
		if at := h.version.Time(); now.Before(at.Add(time.Second)) {
			now = at.Add(time.Second)
		}
	}
	return snapshot.NewVersion(now, height)
}

// publish adds a version as if it had just been published.
func (s *stock) publish(v snapshot.Version) {
	upcoming := snapshot.InfoHash{0: 1} // of no torrent
	s.held = append(s.held, holding{version: v, infoHash: upcoming, previous: s.newest})
	delete(s.named, s.newest) // by a pointer that is replaced then
	s.newest = upcoming
}
