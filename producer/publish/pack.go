package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"snapswarm/common/archive"
	"snapswarm/common/durable"
	"snapswarm/common/snapshot"
)

func (r *run) archivePath() string { return filepath.Join(r.versionDir(r.version), r.file) }

// pack writes the archive and its torrent to this disk. When it returns, both are durable, and then so is the journal's
// note that they are: from here on another run can go on, and only from here on anything is stored.
func (r *run) pack(ctx context.Context) error {
	if err := r.writeArchive(ctx); err != nil {
		return explainFull(err, r.cfg.DataDir, r.cfg.room(r.req.Source))
	}
	if r.pieces == nil {
		if err := r.hashPieces(ctx); err != nil {
			return err
		}
	}
	if err := r.describe(); err != nil {
		return err
	}
	if err := durable.WriteFile(r.unfinishedPath(), r.torrent.Encode(), 0o644); err != nil {
		return err
	}
	a, err := r.attempt()
	if err != nil {
		return err
	}
	if err := r.journal.begin(a); err != nil {
		return err
	}
	r.keepable = a.continuable()
	return nil
}

// attempt is what the journal holds of a packed snapshot.
func (r *run) attempt() (attempt, error) {
	fi, err := os.Stat(r.archivePath())
	if err != nil {
		return attempt{}, fmt.Errorf("look at archive: %w", err)
	}
	a := r.begun()
	a.InfoHash, a.Size, a.Modified = r.torrent.InfoHash.String(), r.archive.Size, fi.ModTime()
	return a, nil
}

// begun is what the journal holds of a snapshot before it is packed.
func (r *run) begun() attempt {
	return attempt{
		Version: r.version, File: r.file, Fingerprint: r.req.Source.Fingerprint, Source: r.req.Source.Path, Shape: r.cfg.shape(),
	}
}

// writeArchive encodes, hashes and writes in one pass. Of a stream whose size would choose the piece length, the pieces
// are left for later.
func (r *run) writeArchive(ctx context.Context) error {
	src := r.req.Source
	task := r.cfg.Progress(ctx, "pack", src.Size())
	defer task.Cancel()
	out, err := createArchive(r.versionDir(r.version), r.file)
	if err != nil {
		return err
	}
	o := archive.Options{
		Level: r.cfg.Level, Workers: r.cfg.Workers,
		Progress: func(raw, _ int64) { task.Set(raw) },
	}
	var pieces *snapshot.PieceHasher
	if r.length = r.pieceLength(src.Size()); r.length > 0 {
		pieces = r.newHasher()
		o.Also = pieces
	}
	if err := r.encode(ctx, out, o); err != nil {
		out.discard()
		return err
	}
	if err := out.commit(); err != nil {
		return err
	}
	if pieces != nil {
		r.pieces, _ = pieces.Sum()
		r.tree = pieces.Tree()
	}
	task.Done()
	return nil
}

func (r *run) encode(ctx context.Context, w io.Writer, o archive.Options) (err error) {
	write := archive.Write
	if r.cfg.PassThrough {
		write = archive.Copy
	}
	r.archive, err = write(ctx, w, r.req.Source, o)
	return err
}

// pieceLength is 0 when it depends on a size that is not known yet.
func (r *run) pieceLength(rawSize int64) int64 {
	switch {
	case r.cfg.PieceLength > 0:
		return r.cfg.PieceLength
	case rawSize < 0:
		return 0
	}
	return snapshot.PieceLengthFor(rawSize)
}

func (r *run) hashPieces(ctx context.Context) error {
	f, err := os.Open(r.archivePath())
	if err != nil {
		return fmt.Errorf("hash pieces: %w", err)
	}
	defer f.Close()
	r.length = snapshot.PieceLengthFor(r.archive.RawSize)
	if r.cfg.Hybrid {
		r.pieces, r.tree, err = snapshot.HashHybrid(ctx, f, r.archive.Size, r.length)
	} else {
		r.pieces, err = snapshot.HashPieces(ctx, f, r.archive.Size, r.length)
	}
	return err
}

// newHasher hashes what is written into pieces of the chosen length.
func (r *run) newHasher() *snapshot.PieceHasher {
	if r.cfg.Hybrid {
		return snapshot.NewHybridHasher(r.length)
	}
	return snapshot.NewPieceHasher(r.length)
}

// rawName is the source's own name where that is a harmless one, and follows from the download name otherwise (think of a
// hidden folder).
func (r *run) rawName() string {
	if name := r.req.Source.Name(); snapshot.CheckFileName(name) == nil {
		return name
	}
	return strings.TrimSuffix(r.file, ".zst")
}

// describe makes the torrent.
func (r *run) describe() (err error) {
	if r.archive.RawSize == 0 {
		return fmt.Errorf("%w: %s is empty", ErrEmpty, r.req.Source.Name())
	}
	d := &snapshot.Description{
		Version: r.version, Created: r.version.Time(), Height: r.req.Height, Kind: r.req.Source.Kind,
		SHA256: r.archive.SHA256, RawSize: r.archive.RawSize, RawSHA256: r.archive.RawSHA256, RawName: r.rawName(),
		Codec: snapshot.Codec{
			Format: snapshot.FormatZstd, Chunk: r.archive.Chunk, Encoder: r.archive.Encoder, Level: r.archive.Level,
		},
		Previous: r.known.pointer.InfoHash, Retain: r.cfg.Retain,
	}
	if r.cfg.PassThrough {
		d.Codec = snapshot.Codec{Format: snapshot.FormatNone}
	}
	content := snapshot.Content{
		Name: r.file, Length: r.archive.Size, PieceLength: r.length, Pieces: r.pieces, Tree: r.tree, Description: d,
	}
	content.Origins = r.origins()
	r.torrent, err = snapshot.NewTorrent(content)
	if err == nil && len(r.torrent.Encode()) > snapshot.MaxTorrentSize {
		err = errors.New("the torrent is too large: choose a larger PIECE_LENGTH")
	}
	return err
}

// origins are where everybody can read the archive.
func (r *run) origins() []string {
	if r.cfg.Public == nil {
		return nil
	}
	return []string{r.cfg.Public.URL(r.keys().archive)}
}
