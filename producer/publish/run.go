package publish

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel/codes"

	"snapswarm/common/archive"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// Request is one snapshot to publish.
type Request struct {
	Source Source
	// Height is the block height, 0 if there is none. One that is lower than that of the newest snapshot is an [ErrHeight],
	// unless Force is set.
	Height uint64
	Force  bool
}

// Report says what was published.
type Report struct {
	Channel     string             `json:"channel"`
	Version     snapshot.Version   `json:"version"`
	File        string             `json:"file"`
	FileBefore  string             `json:"file_before,omitempty"` // of the snapshot before, when that was another one
	Path        string             `json:"path"`
	RawSize     int64              `json:"raw_size"`
	Size        int64              `json:"size"`
	SHA256      string             `json:"sha256"`
	InfoHash    snapshot.InfoHash  `json:"info_hash"`
	InfoHashV2  string             `json:"info_hash_v2,omitempty"` // of a hybrid torrent
	PieceLength int64              `json:"piece_length"`
	Pieces      int                `json:"pieces"`
	Seq         int64              `json:"seq"`
	Expires     time.Time          `json:"expires"`
	URL         string             `json:"url,omitempty"` // empty when the bucket has no public address
	DHT         *Announced         `json:"dht,omitempty"` // nil without a DHT
	DHTError    string             `json:"dht_error,omitempty"`
	Took        time.Duration      `json:"took"`
	Steps       []StepTime         `json:"steps"`
	Removed     []snapshot.Version `json:"removed,omitempty"`
}

// StepTime is how long a step of a publication took.
type StepTime struct {
	Step string        `json:"step"`
	Took time.Duration `json:"took"`
}

// run is one publication under way. Its steps fill it one after another.
type run struct {
	*Publisher
	req  Request
	file string // download name

	known   known            // by resolve
	version snapshot.Version // by reserve
	archive archive.Result   // by pack
	pieces  []byte           // by pack
	tree    *snapshot.Tree   // by pack, of a hybrid torrent
	length  int64            // of a piece, by pack
	torrent *snapshot.Torrent
	touched bool           // by announce: its record may be on this disk
	record  pointer.Record // by announce, once it is on this disk for sure
	report  Report
}

// Publish makes a snapshot of the source public and returns when the pointer names it. On an error, and after a crash at
// any point, the pointer from before is valid and whole; what was left unfinished goes now or with the next run.
func (p *Publisher) Publish(ctx context.Context, req Request) (Report, error) {
	p.publishing.Lock()
	defer p.publishing.Unlock()
	ctx, span := p.metrics.tracer.Start(ctx, "publish")
	defer span.End()
	ctx, unguard := p.lease.guard(ctx)
	defer unguard()
	began := time.Now()
	r := &run{Publisher: p, req: req}
	err := r.all(ctx)
	if lost := context.Cause(ctx); err != nil && errors.Is(lost, ErrHeld) {
		err = lost // whatever was under way says only that it was ended
	}
	if err != nil {
		r.abandon()
	}
	r.report.Took = time.Since(began)
	p.metrics.published(ctx, r, err)
	return r.report, err
}

func (r *run) all(ctx context.Context) (err error) {
	if r.file, err = r.cfg.downloadName(r.req.Source); err != nil {
		return err
	}
	for _, s := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"resolve", r.resolve},
		{"reserve", r.reserve},
		{"pack", r.pack},
		{"upload", r.upload},
		{"probe", r.probe},
		{"announce", r.announce},
	} {
		if err := r.step(ctx, s.name, s.do); err != nil {
			return err
		}
	}
	r.fill()
	r.cfg.Log.InfoContext(ctx, "snapshot published", "channel", r.cfg.Salt, "version", string(r.version), "file", r.file,
		"info_hash", r.torrent.InfoHash.String(), "seq", r.record.Seq, "size", r.archive.Size)
	// From here on the publication has succeeded; what cannot be cleared away now goes next time.
	if err := r.step(ctx, "retain", r.retain); err != nil {
		r.cfg.Log.WarnContext(ctx, "old versions stay for now", "channel", r.cfg.Salt, "error", err)
	}
	return nil
}

// step runs one step with a span and a measurement of its own.
func (r *run) step(ctx context.Context, name string, do func(context.Context) error) error {
	ctx, span := r.metrics.tracer.Start(ctx, "publish."+name)
	defer span.End()
	r.cfg.Log.DebugContext(ctx, "step begins", "step", name)
	began := time.Now()
	err := do(ctx)
	took := time.Since(began)
	r.report.Steps = append(r.report.Steps, StepTime{name, took})
	r.metrics.step(ctx, name, took, err)
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, name)
		return fmt.Errorf("%s: %w", name, err)
	}
	r.cfg.Log.DebugContext(ctx, "step done", "step", name, "took", took)
	return nil
}

func (r *run) fill() {
	rep := &r.report
	rep.Channel, rep.Version, rep.File = r.channel.String(), r.version, r.file
	rep.Path = r.archivePath()
	rep.RawSize, rep.Size = r.archive.RawSize, r.archive.Size
	rep.SHA256 = fmt.Sprintf("%x", r.archive.SHA256)
	rep.InfoHash, rep.PieceLength, rep.Pieces = r.torrent.InfoHash, r.torrent.PieceLength, r.torrent.NumPieces()
	if r.torrent.HasV2() {
		rep.InfoHashV2 = fmt.Sprintf("%x", r.torrent.InfoSHA256)
	}
	rep.Seq = r.record.Seq
	if len(r.torrent.Origins) > 0 {
		rep.URL = r.torrent.Origins[0]
	}
}

// abandon removes the files of a failed publication from this disk. What it left in the bucket stays in the journal
// until a later run has removed it, because the bucket may be what failed.
func (r *run) abandon() {
	if r.version == "" || r.touched {
		return // nothing begun, or signed: from then on it is a snapshot like any other; the next start finds out which
	}
	if err := os.RemoveAll(r.versionDir(r.version)); err != nil {
		r.cfg.Log.Warn("unfinished snapshot stays on disk", "dir", r.versionDir(r.version), "error", err)
	}
}

// clearUnfinished removes from this disk what runs left behind that did not get as far as the pointer.
func (p *Publisher) clearUnfinished() error {
	last, ok, err := p.ratchet.Last(p.channel)
	if err != nil {
		return err
	}
	var newest snapshot.InfoHash
	if ok {
		ptr, err := last.Pointer()
		if err != nil {
			return err
		}
		newest = ptr.InfoHash
	}
	var errs []error
	for _, a := range p.journal.begun() {
		if ok && a.InfoHash == newest.String() { // signed, but the journal did not hear of it
			errs = append(errs, p.journal.publish(published{Version: a.Version, Fingerprint: a.Fingerprint, At: last.Time()}))
			continue
		}
		errs = append(errs, os.RemoveAll(p.versionDir(a.Version)))
	}
	return errors.Join(errs...)
}
