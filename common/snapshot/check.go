package snapshot

import (
	"crypto/sha1"
	"hash"
)

// PieceCheck hashes the bytes of one piece in every way that its torrent tells the hash of: SHA-1 (v1), the
// SHA-256 tree (v2), or both. Not safe for concurrent use.
type PieceCheck struct {
	torrent *Torrent
	piece   int
	v1      hash.Hash    // nil: not looked at
	v2      *blockHasher // nil: not looked at
	want    [32]byte     // of v2
}

// NewCheck begins to check piece i.
func (t *Torrent) NewCheck(i int) *PieceCheck {
	c := t.NewTreeCheck(i)
	if c == nil {
		c = &PieceCheck{torrent: t, piece: i}
	}
	if t.HasV1() {
		c.v1 = sha1.New()
	}
	return c
}

// NewTreeCheck begins to check piece i by the SHA-256 tree alone. It returns nil if the torrent has none, or
// its hashes are not known.
func (t *Torrent) NewTreeCheck(i int) *PieceCheck {
	want, ok := t.treeHash(i)
	if !ok {
		return nil
	}
	return &PieceCheck{torrent: t, piece: i, v2: new(blockHasher), want: want}
}

// Write never fails.
func (c *PieceCheck) Write(p []byte) (int, error) {
	if c.v1 != nil {
		c.v1.Write(p)
	}
	if c.v2 != nil {
		c.v2.write(p)
	}
	return len(p), nil
}

// Right reports whether what was written is the piece. A piece of which nothing is known is not. Call it once,
// after something was written.
func (c *PieceCheck) Right() bool {
	if c.v1 != nil && [sha1.Size]byte(c.v1.Sum(nil)) != c.torrent.PieceHash(c.piece) {
		return false
	}
	if c.v2 != nil {
		return c.v2.root(piecesWidth(int64(c.torrent.NumPieces()), c.torrent.PieceLength)) == c.want
	}
	return c.v1 != nil
}
