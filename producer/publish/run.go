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
	// DropCanceled gives a packed snapshot up when the context ends before it is out. Otherwise it is finished another time.
	DropCanceled bool
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
	Resumed     bool               `json:"resumed,omitempty"` // an earlier run had packed it
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
	// finishing wants nothing but to go on with an unfinished run, see Publisher.Finish; there is no req then.
	finishing bool

	known    known            // by resolve
	version  snapshot.Version // by reserve
	archive  archive.Result   // by pack
	pieces   []byte           // by pack
	tree     *snapshot.Tree   // by pack, of a hybrid torrent
	length   int64            // of a piece, by pack
	torrent  *snapshot.Torrent
	keepable bool           // by pack: after a failure the next run can go on with it
	resumed  bool           // by resume: an earlier run has packed it
	touched  bool           // by announce: its record may be on this disk
	record   pointer.Record // by announce, once it is on this disk for sure
	report   Report
}

// Publish makes a snapshot of the source public and returns when the pointer names it. On an error, and after a crash at
// any point, the pointer from before is valid and whole. If the archive was complete by then, the next run goes on with it
// under the same version, see [Publisher.Finish], or this method when the source has not changed; what else was left
// unfinished goes now or with the next run.
func (p *Publisher) Publish(ctx context.Context, req Request) (Report, error) {
	if err := p.awaitTurn(ctx); err != nil {
		return Report{}, err
	}
	defer func() { <-p.publishing }()
	r := &run{Publisher: p, req: req}
	rep, err := p.publish(ctx, r)
	if r.resumed && errors.Is(err, errDamaged) { // which was found out late
		rep, err = p.publish(ctx, &run{Publisher: p, req: req})
	}
	return rep, err
}

// publish runs r. Caller holds p.publishing.
func (p *Publisher) publish(ctx context.Context, r *run) (Report, error) {
	ctx, span := p.metrics.tracer.Start(ctx, "publish")
	defer span.End()
	ctx, unguard := p.lease.guard(ctx)
	defer unguard()
	began := time.Now()
	err := r.all(ctx)
	if lost := context.Cause(ctx); err != nil && errors.Is(lost, ErrHeld) {
		err = lost // whatever was under way says only that it was ended
	}
	if err != nil {
		r.keepable = r.keepable && (ctx.Err() == nil || !r.req.DropCanceled)
		r.abandon(err)
	}
	r.report.Took = time.Since(began)
	if !errors.Is(err, errNothingLeft) {
		p.metrics.published(ctx, r, err)
	}
	return r.report, err
}

// awaitTurn waits for the end of another publication.
func (p *Publisher) awaitTurn(ctx context.Context) error {
	select {
	case p.publishing <- struct{}{}:
		return nil
	default:
	}
	p.cfg.Log.InfoContext(ctx, "waiting for the publication under way", "channel", p.cfg.Salt)
	select {
	case p.publishing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *run) all(ctx context.Context) (err error) {
	if !r.finishing {
		if r.file, err = r.cfg.downloadName(r.req.Source); err != nil {
			return err
		}
	}
	for _, s := range []struct {
		name string
		do   func(context.Context) error
		once bool // not when an earlier run did it
	}{
		{"resolve", r.resolve, false},
		{"resume", r.resume, false},
		{"reserve", r.reserve, true},
		{"pack", r.pack, true},
		{"upload", r.upload, false},
		{"probe", r.probe, false},
		{"announce", r.announce, false},
	} {
		if s.once && r.resumed {
			continue
		}
		if err := r.step(ctx, s.name, s.do); err != nil {
			return err
		}
	}
	_ = os.Remove(r.unfinishedPath()) // the next start would, too
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
	rep.Path, rep.Resumed = r.archivePath(), r.resumed
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
