package snapshot

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
	"net/url"
	"strconv"
	"strings"

	"github.com/anacrolix/torrent/bencode"
)

// Limits on what is accepted from others.
const (
	// MaxTorrentSize is how many bytes of a .torrent or an info dictionary are read at most.
	MaxTorrentSize = 16 << 20
	// MinPieceLength and MaxPieceLength bound the pieces that are made here. From others, any power
	// of two from 16 KiB to MaxForeignPieceLength is taken.
	MinPieceLength        = 256 << 10
	MaxPieceLength        = 32 << 20
	MaxForeignPieceLength = 256 << 20

	minForeignPieceLength = 16 << 10
	usualPieces           = 16 << 10
	maxLength             = 1 << 50
	maxOrigins            = 16
)

// Errors that parsing a torrent wraps.
var (
	// ErrBadTorrent means that the bytes are no torrent that can be followed here.
	ErrBadTorrent = errors.New("unusable torrent")
	// ErrNotSingleFile means that the torrent holds a directory; snapshots are always one file.
	ErrNotSingleFile = errors.New("torrent holds more than a single file")
	// ErrV2Only means that the torrent has no v1 part (BEP 52 alone).
	ErrV2Only = errors.New("torrent is BitTorrent v2 only")
)

// Torrent is a single-file torrent (BEP 3), made here or parsed from foreign bytes and checked.
type Torrent struct {
	InfoHash InfoHash
	// InfoSHA256 is the SHA-256 of Info. The pointer signs it as well, so that trust does not rest
	// on SHA-1 alone.
	InfoSHA256 [32]byte
	// Info is the exact bencoded info dictionary.
	Info []byte
	// Name passed CheckFileName.
	Name        string
	Length      int64
	PieceLength int64
	// Pieces are the SHA-1 hashes of the pieces, 20 bytes each.
	Pieces []byte
	// Description is nil for torrents that carry none: segments, manifests, other publishers'.
	Description *Description
	// Origins are the webseeds (BEP 19, url-list): complete http or https URLs of the file.
	Origins []string
}

// infoDict is the part of an info dictionary that is written, in BEP 3's names.
type infoDict struct {
	Length      int64         `bencode:"length"`
	Name        string        `bencode:"name"`
	PieceLength int64         `bencode:"piece length"`
	Pieces      []byte        `bencode:"pieces"`
	Snapshot    bencode.Bytes `bencode:"snapshot,omitempty"`
}

// foreignInfo adds what has to be recognised in others' torrents.
type foreignInfo struct {
	infoDict
	Files       bencode.Bytes `bencode:"files,omitempty"`
	MetaVersion int64         `bencode:"meta version,omitempty"`
}

type metaInfo struct {
	Info    bencode.Bytes `bencode:"info"`
	URLList bencode.Bytes `bencode:"url-list,omitempty"`
}

// Content is what a torrent is made of.
type Content struct {
	Name        string
	Length      int64
	PieceLength int64
	// Pieces as [PieceHasher] or [HashPieces] returned them.
	Pieces      []byte
	Description *Description
	Origins     []string
}

// NewTorrent makes a v1 single-file torrent. The same content gives the same info-hash; Origins do
// not enter into it.
func NewTorrent(c Content) (*Torrent, error) {
	info := infoDict{Length: c.Length, Name: c.Name, PieceLength: c.PieceLength, Pieces: c.Pieces}
	if c.Description != nil {
		var err error
		if info.Snapshot, err = c.Description.encode(); err != nil {
			return nil, fmt.Errorf("describe %q: %w", clip(c.Name), err)
		}
	}
	b, err := bencode.Marshal(info)
	if err != nil {
		return nil, fmt.Errorf("encode info of %q: %w", clip(c.Name), err)
	}
	t, err := ParseInfo(b)
	if err != nil {
		return nil, err
	}
	t.Origins = c.Origins
	return t, nil
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
	if err := info.check(); err != nil {
		return nil, err
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
	if info.Snapshot != nil {
		var err error
		if t.Description, err = parseDescription(info.Snapshot); err != nil {
			return nil, fmt.Errorf("snapshot description: %w", err)
		}
	}
	return t, nil
}

func (info *foreignInfo) check() error {
	if info.Files != nil {
		return ErrNotSingleFile
	}
	if len(info.Pieces) == 0 && info.MetaVersion == 2 {
		return ErrV2Only
	}
	if err := CheckFileName(info.Name); err != nil {
		return err
	}
	if info.Length <= 0 || info.Length > maxLength {
		return fmt.Errorf("length %d is out of range", info.Length)
	}
	if p := info.PieceLength; p < minForeignPieceLength || p > MaxForeignPieceLength || bits.OnesCount64(uint64(p)) != 1 {
		return fmt.Errorf("piece length %d: want a power of two from %d to %d", p, minForeignPieceLength, MaxForeignPieceLength)
	}
	want := (info.Length + info.PieceLength - 1) / info.PieceLength
	if int64(len(info.Pieces)) != want*sha1.Size {
		return fmt.Errorf("%d bytes of piece hashes, want %d for %d pieces", len(info.Pieces), want*sha1.Size, want)
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

// Encode is the .torrent file: the info dictionary and the origins as url-list, nothing else, so
// that the same torrent is the same bytes whenever it is written.
func (t *Torrent) Encode() []byte {
	meta := metaInfo{Info: t.Info}
	if len(t.Origins) > 0 {
		meta.URLList = bencode.MustMarshal(t.Origins)
	}
	return bencode.MustMarshal(meta)
}

// Magnet is a link for any BitTorrent client (BEP 9) with the origins as webseeds (ws) and the
// given peers, host:port each (x.pe).
func (t *Torrent) Magnet(peers ...string) string {
	link := "magnet:?xt=urn:btih:" + t.InfoHash.String() +
		"&dn=" + escape(t.Name) + "&xl=" + strconv.FormatInt(t.Length, 10)
	for _, o := range t.Origins {
		link += "&ws=" + escape(o)
	}
	for _, p := range peers {
		link += "&x.pe=" + escape(p)
	}
	return link
}

// escape writes a space as %20: not every client reads a plus sign as one.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// NumPieces is the number of pieces, at least 1.
func (t *Torrent) NumPieces() int { return len(t.Pieces) / sha1.Size }

// PieceSize is the length of piece i in bytes; the last piece may be shorter than PieceLength.
func (t *Torrent) PieceSize(i int) int64 {
	return min(t.PieceLength, t.Length-int64(i)*t.PieceLength)
}

// PieceHash is the SHA-1 that piece i must have.
func (t *Torrent) PieceHash(i int) [20]byte {
	return [20]byte(t.Pieces[i*sha1.Size:])
}
