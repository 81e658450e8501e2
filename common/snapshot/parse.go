package snapshot

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
	"net/url"

	"github.com/anacrolix/torrent/bencode"
)

// foreignInfo adds what has to be recognised in others' torrents.
type foreignInfo struct {
	infoDict
	Files bencode.Bytes `bencode:"files,omitempty"`
}

// ParseTorrent reads a .torrent file of at most [MaxTorrentSize] bytes. Errors wrap [ErrBadTorrent].
// Webseeds that are no http(s) URLs are dropped; the caller decides which of the rest it dials.
func ParseTorrent(b []byte) (*Torrent, error) {
	if len(b) > MaxTorrentSize {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrBadTorrent, MaxTorrentSize)
	}
	var meta metaInfo
	if err := bencode.Unmarshal(b, &meta); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadTorrent, err)
	}
	t, err := ParseInfo(meta.Info)
	if err != nil {
		return nil, err
	}
	t.Origins = parseOrigins(meta.URLList)
	if err := t.parseLayers(meta.PieceLayers); err != nil {
		return nil, err
	}
	return t, nil
}

// ParseInfo reads a bencoded info dictionary as it comes out of a .torrent or from peers (BEP 9).
// Errors wrap [ErrBadTorrent].
func ParseInfo(b []byte) (*Torrent, error) {
	t, err := parseInfo(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadTorrent, err)
	}
	return t, nil
}

func parseInfo(b []byte) (*Torrent, error) {
	if len(b) == 0 {
		return nil, errors.New("no info dictionary")
	}
	if len(b) > MaxTorrentSize {
		return nil, fmt.Errorf("info dictionary is longer than %d bytes", MaxTorrentSize)
	}
	var info foreignInfo
	if err := bencode.Unmarshal(b, &info); err != nil {
		return nil, fmt.Errorf("info dictionary: %w", err)
	}
	t := &Torrent{
		InfoHash:    sha1.Sum(b),
		InfoSHA256:  sha256.Sum256(b),
		Info:        append([]byte(nil), b...),
		Name:        info.Name,
		Length:      info.Length,
		PieceLength: info.PieceLength,
		Pieces:      info.Pieces,
	}
	if err := t.parseTree(&info); err != nil {
		return nil, err
	}
	if err := t.check(&info); err != nil {
		return nil, err
	}
	if info.Snapshot != nil {
		var err error
		if t.Description, err = parseDescription(info.Snapshot); err != nil {
			return nil, fmt.Errorf("snapshot description: %w", err)
		}
	}
	return t, nil
}

// parseTree takes over the v2 part, if there is one. A hybrid's parts must agree.
func (t *Torrent) parseTree(info *foreignInfo) error {
	if info.MetaVersion != 2 {
		return nil
	}
	length, root, err := parseFileTree(info.FileTree, t.Name)
	if err != nil {
		return err
	}
	t.Tree = &Tree{Root: root}
	switch noPieces, noLength := len(t.Pieces) == 0, info.Length == 0; {
	case noPieces != noLength:
		return errors.New("half of a v1 part")
	case noPieces:
		t.Length, t.Pieces = length, nil
		copy(t.InfoHash[:], t.InfoSHA256[:])
	}
	if t.Length != length {
		return fmt.Errorf("length is %d in the v1 part and %d in the v2 part", t.Length, length)
	}
	return nil
}

func (t *Torrent) check(info *foreignInfo) error {
	if info.Files != nil {
		return ErrNotSingleFile
	}
	if err := CheckFileName(t.Name); err != nil {
		return err
	}
	if t.Length <= 0 || t.Length > maxLength {
		return fmt.Errorf("length %d is out of range", t.Length)
	}
	if p := t.PieceLength; p < minForeignPieceLength || p > MaxForeignPieceLength || bits.OnesCount64(uint64(p)) != 1 {
		return fmt.Errorf("piece length %d: want a power of two from %d to %d", p, minForeignPieceLength, MaxForeignPieceLength)
	}
	switch want := (t.Length + t.PieceLength - 1) / t.PieceLength; {
	case t.Pieces == nil && t.Tree == nil:
		return errors.New("no hashes of pieces: neither v1 pieces nor a v2 file tree")
	case t.Pieces == nil && want > maxTreePieces:
		return fmt.Errorf("%d pieces, at most %d are followed", want, maxTreePieces)
	case t.Pieces != nil && int64(len(t.Pieces)) != want*sha1.Size:
		return fmt.Errorf("%d bytes of piece hashes, want %d for %d pieces", len(t.Pieces), want*sha1.Size, want)
	}
	return nil
}

// parseOrigins takes a url-list, which is a string or a list of strings (BEP 19).
func parseOrigins(b bencode.Bytes) []string {
	var list []string
	if bencode.Unmarshal(b, &list) != nil {
		var one string
		if bencode.Unmarshal(b, &one) != nil {
			return nil
		}
		list = []string{one}
	}
	var origins []string
	for _, s := range list {
		u, err := url.Parse(s)
		if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && len(origins) < maxOrigins {
			origins = append(origins, s)
		}
	}
	return origins
}
