package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"snapswarm/common/archive"
	"snapswarm/common/bucket"
	"snapswarm/common/durable"
	"snapswarm/common/snapshot"
)

// errDamaged means that a packed archive is not what it was any more. Nothing can be made of it.
var errDamaged = errors.New("the packed archive is damaged")

// errNothingLeft ends a run that only wanted to go on with another one.
var errNothingLeft = errors.New("no unfinished publication can be continued")

// unfinishedName is the torrent of the one attempt that may be continued. It lies apart from its archive: a version on disk that
// has its torrent beside it is shared with peers, and this one is no snapshot yet.
const unfinishedName = "unfinished.torrent"

func (p *Publisher) unfinishedPath() string { return filepath.Join(p.dir, unfinishedName) }

// Finish goes on with a publication that ended, for whatever reason, after its archive was complete: under the same version, and
// whatever the source has become since. Only what shapes a snapshot must be set as it was. ok is false if there is none, or
// none that can still be published; that one is gone then.
func (p *Publisher) Finish(ctx context.Context) (rep Report, ok bool, err error) {
	if err := p.awaitTurn(ctx); err != nil {
		return Report{}, false, err
	}
	defer func() { <-p.publishing }()
	begun := p.journal.begun()
	i := slices.IndexFunc(begun, attempt.continuable)
	if i < 0 {
		return Report{}, false, nil
	}
	// Its height has passed when it was begun, perhaps by force.
	req := Request{Height: begun[i].Version.Height(), Force: true}
	rep, err = p.publish(ctx, &run{Publisher: p, req: req, file: begun[i].File, finishing: true})
	if errors.Is(err, errNothingLeft) {
		return Report{}, false, nil
	}
	return rep, err == nil, err
}

// resume takes over the attempt that is what is asked for, if there is one: then nothing has to be read and packed again. All
// others go, from this disk and from the bucket. What the bucket does not let go now goes another time.
func (r *run) resume(ctx context.Context) error {
	var keep []string
	for _, a := range slices.Backward(r.journal.begun()) {
		if a.InfoHash != "" && a.InfoHash == r.known.pointer.InfoHash.String() { // out, but the journal did not hear of it
			if err := r.journal.publish(a.published(r.known.record.Time())); err != nil {
				return err
			}
			continue
		}
		t, why := r.fits(a)
		if why == nil && r.torrent == nil {
			if err := r.takeOver(a, t); err != nil {
				return err
			}
			r.cfg.Log.InfoContext(ctx, "going on with an unfinished publication", "channel", r.cfg.Salt, "version", string(a.Version),
				"file", a.File, "size", a.Size)
			keep = append(keep, bucket.ArchiveKey(r.cfg.Salt, a.Version, a.File))
			continue
		}
		if err := r.drop(ctx, a, why); err != nil {
			return err
		}
	}
	if err := r.sweep(ctx, bucket.ChannelPrefix(r.cfg.Salt), keep...); err != nil {
		r.cfg.Log.WarnContext(ctx, "unfinished uploads stay in the bucket for now", "channel", r.cfg.Salt, "error", err)
	}
	if r.finishing && r.torrent == nil {
		return errNothingLeft
	}
	return nil
}

// fits returns the torrent of an attempt that can be published as it is, or why it cannot.
func (r *run) fits(a attempt) (*snapshot.Torrent, error) {
	src := r.req.Source
	switch {
	case !a.continuable():
		return nil, errors.New("its archive was not complete, or came from a stream")
	case a.Shape != r.cfg.shape():
		return nil, errors.New("the settings have changed")
	case !r.finishing && (a.Source != src.Path || a.Fingerprint != src.Fingerprint):
		return nil, errors.New("the source has changed or is another one")
	}
	t, err := r.packed(a)
	if err != nil {
		return nil, err
	}
	name, err := r.cfg.downloadName(Source{Kind: t.Description.Kind, Base: filepath.Base(a.Source)})
	switch {
	case err != nil || name != a.File:
		return nil, errors.New("the settings have changed: the file would have another name")
	case !r.finishing && t.Description.Height != r.req.Height:
		return nil, errors.New("the height is another one")
	case t.Description.Previous != r.known.pointer.InfoHash:
		return nil, errors.New("another snapshot has become the newest one meanwhile")
	}
	return t, nil
}

// packed finds the files of an attempt as they were left. That each byte is right is found out while they are uploaded.
func (r *run) packed(a attempt) (*snapshot.Torrent, error) {
	b, err := durable.ReadFile(r.unfinishedPath(), snapshot.MaxTorrentSize)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	t, err := snapshot.ParseTorrent(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if t.InfoHash.String() != a.InfoHash || t.Description == nil {
		return nil, fmt.Errorf("%w: its torrent is that of %s", errDamaged, t.InfoHash)
	}
	fi, err := os.Stat(filepath.Join(r.versionDir(a.Version), a.File))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	case fi.Size() != a.Size || !fi.ModTime().Equal(a.Modified):
		return nil, fmt.Errorf("%w: it was written to", errDamaged)
	}
	return t, nil
}

// takeOver makes r what the run that packed a was when it had packed it.
func (r *run) takeOver(a attempt, t *snapshot.Torrent) error {
	d := t.Description
	r.version, r.file, r.torrent, r.keepable, r.resumed = a.Version, a.File, t, true, true
	r.archive = archive.Result{
		Size: t.Length, RawSize: d.RawSize, SHA256: d.SHA256, RawSHA256: d.RawSHA256,
		Chunk: d.Codec.Chunk, Encoder: d.Codec.Encoder, Level: d.Codec.Level,
	}
	r.req.Source.Path, r.req.Source.Fingerprint, r.req.Height = a.Source, a.Fingerprint, d.Height
	if err := durable.RemoveTemps(r.versionDir(a.Version)); err != nil {
		return err
	}
	if origins := r.origins(); !slices.Equal(origins, t.Origins) { // PUBLIC_URL is another one, and no part of the info-hash
		t.Origins = origins
		return durable.WriteFile(r.unfinishedPath(), t.Encode(), 0o644)
	}
	return nil
}

// verify reads the whole archive and compares it with its torrent.
func (r *run) verify(ctx context.Context) error {
	f, err := os.Open(r.archivePath())
	if err != nil {
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	defer f.Close()
	pieces, err := snapshot.HashPieces(ctx, f, r.torrent.Length, r.torrent.PieceLength)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%w: %w", errDamaged, err)
	case !bytes.Equal(pieces, r.torrent.Pieces):
		return fmt.Errorf("%w: its bytes do not match its torrent", errDamaged)
	}
	return nil
}

// drop gives an attempt up, on this disk for good and in the bucket as far as it can be reached.
func (r *run) drop(ctx context.Context, a attempt, why error) error {
	if a.continuable() {
		r.cfg.Log.WarnContext(ctx, "an unfinished publication is given up", "channel", r.cfg.Salt, "version", string(a.Version), "reason", why)
	}
	if err := r.discard(a.Version); err != nil {
		return err
	}
	if r.cfg.Network != nil && a.InfoHash != "" {
		if err := r.cfg.Network.Drop(ctx, a.Version); err != nil {
			return err
		}
	}
	if err := r.removeAttempt(ctx, a); err != nil {
		r.cfg.Log.WarnContext(ctx, "what was stored goes with the next publication", "channel", r.cfg.Salt, "error", err)
	}
	return nil
}

// discard removes the files of an attempt from this disk, so that it cannot be continued.
func (p *Publisher) discard(v snapshot.Version) error {
	if err := p.journal.drop(v); err != nil {
		return err
	}
	if err := os.RemoveAll(p.versionDir(v)); err != nil {
		return fmt.Errorf("remove unfinished snapshot: %w", err)
	}
	return nil
}

// sweep removes what interrupted uploads under prefix have left in the bucket. A bucket that does not say what there is keeps
// it; only one that is away is an error, because it may say so later.
func (r *run) sweep(ctx context.Context, prefix string, keep ...string) error {
	got, err := r.cfg.Store.Sweep(ctx, prefix, keep...)
	if got.Uploads > 0 {
		r.cfg.Log.InfoContext(ctx, "unfinished uploads removed from the bucket", "channel", r.cfg.Salt, "uploads", got.Uploads, "bytes", got.Bytes)
	}
	if err == nil || errors.Is(err, bucket.ErrUnreachable) || ctx.Err() != nil {
		return err
	}
	r.cfg.Log.DebugContext(ctx, "unfinished uploads in the bucket cannot be looked for", "channel", r.cfg.Salt, "error", err)
	return nil
}

// abandon settles what becomes of a publication that failed. A packed archive stays for the next run, unless that cannot use it.
// The rest goes from this disk; what it left in the bucket stays in the journal until a later run has removed it, because
// the bucket may be what failed.
func (r *run) abandon(err error) {
	log := r.cfg.Log.With("channel", r.cfg.Salt, "version", string(r.version))
	switch {
	case r.version == "" || r.touched:
		return // nothing begun, or signed: from then on it is a snapshot like any other; the next start finds out which
	case r.keepable && !errors.Is(err, errDamaged) && !errors.Is(err, ErrOvertaken):
		log.Info("the packed archive stays on this disk, the next run goes on with it", "size", r.archive.Size)
		return
	case errors.Is(err, errDamaged):
		log.Warn("an unfinished publication is given up", "reason", err)
	}
	if err := r.discard(r.version); err != nil {
		log.Warn("unfinished snapshot stays on disk", "error", err)
	}
}

// clearUnfinished removes from this disk what runs left behind that did not get as far as the pointer, except for the newest
// attempt that may be continued.
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
	kept := false
	for _, a := range slices.Backward(p.journal.begun()) {
		switch {
		case ok && a.InfoHash == newest.String(): // signed, but the journal did not hear of it
			errs = append(errs, p.journal.publish(a.published(last.Time())))
		case a.continuable() && !kept:
			kept = true
		default:
			errs = append(errs, p.discard(a.Version))
		}
	}
	if !kept {
		if err := os.Remove(p.unfinishedPath()); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
