package snapshot

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
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
	maxTreePieces         = MaxTorrentSize / 32 // of a torrent without v1 hashes: what fits into a .torrent
	maxOrigins            = 16
)

// Errors that parsing a torrent wraps.
var (
	// ErrBadTorrent means that the bytes are no torrent that can be followed here.
	ErrBadTorrent = errors.New("unusable torrent")
	// ErrNotSingleFile means that the torrent holds a directory; snapshots are always one file.
	ErrNotSingleFile = errors.New("torrent holds more than a single file")
)

// Torrent is a single-file torrent, made here or parsed from foreign bytes and checked: v1 (BEP 3), v2
// (BEP 52) or hybrid, which is both.
type Torrent struct {
	// InfoHash is the v1 info-hash; of a torrent that is v2 only, the first 20 bytes of InfoSHA256, by
	// which peers, trackers and the DHT know it (BEP 52).
	InfoHash InfoHash
	// InfoSHA256 is the SHA-256 of Info: the v2 info-hash where there is a v2 part. The pointer signs it as
	// well, so that trust does not rest on SHA-1 alone.
	InfoSHA256 [32]byte
	// Info is the exact bencoded info dictionary.
	Info []byte
	// Name passed CheckFileName.
	Name        string
	Length      int64
	PieceLength int64
	// Pieces are the SHA-1 hashes of the pieces, 20 bytes each; nil if the torrent is v2 only.
	Pieces []byte
	// Tree is the v2 part; nil if the torrent is v1 only.
	Tree *Tree
	// Description is nil for torrents that carry none: segments, manifests, other publishers'.
	Description *Description
	// Origins are the webseeds (BEP 19, url-list): complete http or https URLs of the file.
	Origins []string
}

// infoDict is an info dictionary as it is written, in the names of BEP 3 and BEP 52.
type infoDict struct {
	FileTree    bencode.Bytes `bencode:"file tree,omitempty"`
	Length      int64         `bencode:"length"`
	MetaVersion int64         `bencode:"meta version,omitempty"`
	Name        string        `bencode:"name"`
	PieceLength int64         `bencode:"piece length"`
	Pieces      []byte        `bencode:"pieces"`
	Snapshot    bencode.Bytes `bencode:"snapshot,omitempty"`
}

type metaInfo struct {
	Info        bencode.Bytes `bencode:"info"`
	PieceLayers bencode.Bytes `bencode:"piece layers,omitempty"`
	URLList     bencode.Bytes `bencode:"url-list,omitempty"`
}

// Content is what a torrent is made of.
type Content struct {
	Name        string
	Length      int64
	PieceLength int64
	// Pieces as [PieceHasher] or [HashPieces] returned them.
	Pieces []byte
	// Tree as [PieceHasher.Tree] or [HashHybrid] returned it makes a hybrid torrent; nil a v1 torrent.
	Tree        *Tree
	Description *Description
	Origins     []string
}

// NewTorrent makes a single-file torrent, v1 or hybrid. The same content gives the same info-hash; Origins do
// not enter into it.
func NewTorrent(c Content) (*Torrent, error) {
	info := infoDict{Length: c.Length, Name: c.Name, PieceLength: c.PieceLength, Pieces: c.Pieces}
	if c.Tree != nil {
		var err error
		info.MetaVersion = 2
		if info.FileTree, err = encodeFileTree(c.Name, c.Length, c.Tree.Root); err != nil {
			return nil, fmt.Errorf("encode file tree of %q: %w", clip(c.Name), err)
		}
	}
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
	if c.Tree != nil {
		err = t.SetLayer(c.Tree.Layer)
	}
	return t, err
}

// Encode is the .torrent file: the info dictionary, the layer of a v2 part and the origins as url-list,
// nothing else, so that the same torrent is the same bytes whenever it is written.
func (t *Torrent) Encode() []byte {
	meta := metaInfo{Info: t.Info, PieceLayers: t.encodeLayers()}
	if len(t.Origins) > 0 {
		meta.URLList = bencode.MustMarshal(t.Origins)
	}
	return bencode.MustMarshal(meta)
}

// Magnet is a link for any BitTorrent client (BEP 9, BEP 52) with the origins as webseeds (ws) and the
// given peers, host:port each (x.pe).
func (t *Torrent) Magnet(peers ...string) string {
	var topics []string
	if t.HasV1() {
		topics = append(topics, "xt=urn:btih:"+t.InfoHash.String())
	}
	if t.Tree != nil { // a multihash: SHA-256, 32 bytes (BEP 52)
		topics = append(topics, "xt=urn:btmh:1220"+hex.EncodeToString(t.InfoSHA256[:]))
	}
	link := "magnet:?" + strings.Join(topics, "&") + "&dn=" + escape(t.Name) + "&xl=" + strconv.FormatInt(t.Length, 10)
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
func (t *Torrent) NumPieces() int { return int((t.Length + t.PieceLength - 1) / t.PieceLength) }

// HasV1 reports whether v1 clients can take part (BEP 3).
func (t *Torrent) HasV1() bool { return t.Pieces != nil }

// HasV2 reports whether v2 clients can take part (BEP 52).
func (t *Torrent) HasV2() bool { return t.Tree != nil }

// ShortV2 is the first 20 bytes of the v2 info-hash, by which v2 peers, trackers and the DHT know the torrent
// (BEP 52); zero if there is no v2 part.
func (t *Torrent) ShortV2() (h InfoHash) {
	if t.Tree != nil {
		copy(h[:], t.InfoSHA256[:])
	}
	return h
}

// PieceSize is the length of piece i in bytes; the last piece may be shorter than PieceLength.
func (t *Torrent) PieceSize(i int) int64 {
	return min(t.PieceLength, t.Length-int64(i)*t.PieceLength)
}

// PieceHash is the SHA-1 that piece i must have. The torrent must have a v1 part; see [Torrent.NewCheck] for one
// that may not.
func (t *Torrent) PieceHash(i int) [20]byte {
	return [20]byte(t.Pieces[i*sha1.Size:])
}
