package snapshot

import (
	"crypto/sha256"
	"hash"
)

// blockSize is the size of the leaves of a BitTorrent v2 hash tree (BEP 52).
const blockSize = 16 << 10

// merkleRoot is the root of a binary hash tree over nodes, which it overwrites. The layer is filled up
// to a power of two, and at least to width nodes, with pad (BEP 52). nodes must not be empty.
func merkleRoot(nodes [][32]byte, width int, pad [32]byte) [32]byte {
	for ; width > 1 || len(nodes) > 1; width = (width + 1) / 2 {
		if len(nodes)%2 == 1 {
			nodes = append(nodes, pad)
		}
		for i := range len(nodes) / 2 {
			nodes[i] = parent(nodes[2*i], nodes[2*i+1])
		}
		nodes = nodes[:len(nodes)/2]
		pad = parent(pad, pad)
	}
	return nodes[0]
}

func parent(left, right [32]byte) [32]byte {
	var pair [64]byte
	copy(pair[:32], left[:])
	copy(pair[32:], right[:])
	return sha256.Sum256(pair[:])
}

// padPiece is the hash of a whole piece of nothing but missing blocks, which fills up the layer of pieces.
func padPiece(pieceLength int64) [32]byte {
	return merkleRoot(make([][32]byte, 1), int(pieceLength/blockSize), [32]byte{})
}

// blockHasher hashes a stream into blocks.
type blockHasher struct {
	current hash.Hash
	filled  int
	blocks  [][32]byte
}

// write never fails.
func (h *blockHasher) write(p []byte) {
	for len(p) > 0 {
		if h.filled == 0 && len(p) >= blockSize { // the usual case without a copy into the hash's own buffer
			h.blocks = append(h.blocks, sha256.Sum256(p[:blockSize]))
			p = p[blockSize:]
			continue
		}
		if h.current == nil {
			h.current = sha256.New()
		}
		take := min(len(p), blockSize-h.filled)
		h.current.Write(p[:take])
		h.filled += take
		p = p[take:]
		if h.filled == blockSize {
			h.finish()
		}
	}
}

func (h *blockHasher) finish() {
	var sum [32]byte
	h.current.Sum(sum[:0])
	h.blocks = append(h.blocks, sum)
	h.current.Reset()
	h.filled = 0
}

// root ends the last block, returns the root over at least width blocks and begins anew. Something must
// have been written.
func (h *blockHasher) root(width int) [32]byte {
	if h.filled > 0 {
		h.finish()
	}
	root := merkleRoot(h.blocks, width, [32]byte{})
	h.blocks = h.blocks[:0]
	return root
}
