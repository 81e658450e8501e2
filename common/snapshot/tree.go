package snapshot

import (
	"fmt"

	"github.com/anacrolix/torrent/bencode"
)

// Tree is the hash tree of a torrent's file (BEP 52), which makes the torrent a BitTorrent v2 or hybrid one.
type Tree struct {
	// Root is the tree's root ("pieces root").
	Root [32]byte
	// Layer holds the hash of each piece, 32 bytes each; Root vouches for it. Nil for a file of a single
	// piece, which needs none, and as long as it is not known: it is not part of the info dictionary.
	Layer []byte
}

// newTree makes a tree of the hashes of pieces. A single one is not padded to the piece length.
func newTree(layer []byte, pieceLength int64) *Tree {
	if len(layer) == 32 {
		return &Tree{Root: [32]byte(layer)}
	}
	return &Tree{Root: layerRoot(layer, pieceLength), Layer: layer}
}

func layerRoot(layer []byte, pieceLength int64) [32]byte {
	nodes := make([][32]byte, len(layer)/32)
	for i := range nodes {
		nodes[i] = [32]byte(layer[i*32:])
	}
	return merkleRoot(nodes, 1, padPiece(pieceLength))
}

// piecesWidth is how many blocks the tree of one piece spans: all of a piece, or, for a file that is
// shorter than one, only what the file needs.
func piecesWidth(pieces int64, pieceLength int64) int {
	if pieces == 1 {
		return 1
	}
	return int(pieceLength / blockSize)
}

// treeHasher hashes a stream into a [Tree] as it is written. It needs no memory beyond the hashes of the
// pieces and those of the blocks of one piece.
type treeHasher struct {
	pieceLength int64
	blocks      blockHasher
	filled      int64
	size        int64
	layer       []byte
}

func (h *treeHasher) write(p []byte) {
	h.size += int64(len(p))
	for len(p) > 0 {
		if h.filled == h.pieceLength { // only now it is certain that this is not the only piece
			h.finishPiece(int(h.pieceLength / blockSize))
		}
		take := min(int64(len(p)), h.pieceLength-h.filled)
		h.blocks.write(p[:take])
		h.filled += take
		p = p[take:]
	}
}

func (h *treeHasher) finishPiece(width int) {
	root := h.blocks.root(width)
	h.layer = append(h.layer, root[:]...)
	h.filled = 0
}

// sum ends the last piece and returns the tree, nil if nothing was written. Call it once.
func (h *treeHasher) sum() *Tree {
	if h.size == 0 {
		return nil
	}
	h.finishPiece(piecesWidth((h.size+h.pieceLength-1)/h.pieceLength, h.pieceLength))
	return newTree(h.layer, h.pieceLength)
}

// treeFile is the only leaf of the file tree of a single-file torrent.
type treeFile struct {
	Length     int64  `bencode:"length"`
	PiecesRoot string `bencode:"pieces root"`
}

// encodeFileTree is the key "file tree" of a file.
func encodeFileTree(name string, length int64, root [32]byte) (bencode.Bytes, error) {
	return bencode.Marshal(map[string]map[string]treeFile{name: {"": {length, string(root[:])}}})
}

// parseFileTree reads the key "file tree" of a torrent that holds one file of the torrent's name.
func parseFileTree(b bencode.Bytes, name string) (length int64, root [32]byte, err error) {
	var top map[string]bencode.Bytes
	if err := bencode.Unmarshal(b, &top); err != nil {
		return 0, root, fmt.Errorf("file tree: %w", err)
	}
	entry, ok := top[name]
	if !ok || len(top) != 1 {
		return 0, root, fmt.Errorf("file tree: %w", ErrNotSingleFile)
	}
	var leaf map[string]bencode.Bytes
	if err := bencode.Unmarshal(entry, &leaf); err != nil {
		return 0, root, fmt.Errorf("file tree: %w", err)
	}
	if _, ok := leaf[""]; !ok || len(leaf) != 1 {
		return 0, root, fmt.Errorf("file tree: %w", ErrNotSingleFile)
	}
	var file treeFile
	if err := bencode.Unmarshal(leaf[""], &file); err != nil {
		return 0, root, fmt.Errorf("file tree: %w", err)
	}
	if len(file.PiecesRoot) != len(root) {
		return 0, root, fmt.Errorf("pieces root has %d bytes, want %d", len(file.PiecesRoot), len(root))
	}
	copy(root[:], file.PiecesRoot)
	return file.Length, root, nil
}

// SetLayer takes over the hashes of the pieces, as they come with a .torrent or from peers. One that does
// not lead to the tree's root is an error that wraps [ErrBadTorrent]. t must not be in use elsewhere yet.
func (t *Torrent) SetLayer(layer []byte) error {
	switch {
	case t.Tree == nil || t.NumPieces() == 1:
		return nil
	case len(layer) != 32*t.NumPieces():
		return fmt.Errorf("%w: piece layer of %d bytes, want %d for %d pieces", ErrBadTorrent, len(layer), 32*t.NumPieces(), t.NumPieces())
	case layerRoot(layer, t.PieceLength) != t.Tree.Root:
		return fmt.Errorf("%w: the piece layer does not lead to the pieces root", ErrBadTorrent)
	}
	t.Tree = &Tree{Root: t.Tree.Root, Layer: layer}
	return nil
}

// parseLayers takes the layer of the torrent's file out of the key "piece layers", if it is there.
func (t *Torrent) parseLayers(b bencode.Bytes) error {
	if t.Tree == nil || b == nil {
		return nil
	}
	var layers map[string]bencode.Bytes
	if err := bencode.Unmarshal(b, &layers); err != nil {
		return fmt.Errorf("%w: piece layers: %w", ErrBadTorrent, err)
	}
	entry, ok := layers[string(t.Tree.Root[:])]
	if !ok {
		return nil
	}
	var layer string
	if err := bencode.Unmarshal(entry, &layer); err != nil {
		return fmt.Errorf("%w: piece layers: %w", ErrBadTorrent, err)
	}
	return t.SetLayer([]byte(layer))
}

// encodeLayers is the key "piece layers", nil for a torrent that has or knows none.
func (t *Torrent) encodeLayers() bencode.Bytes {
	switch {
	case t.Tree == nil:
		return nil
	case t.Tree.Layer != nil:
		return bencode.MustMarshal(map[string]string{string(t.Tree.Root[:]): string(t.Tree.Layer)})
	case t.NumPieces() == 1:
		return bencode.Bytes("de")
	}
	return nil
}

// PieceLayers is the key "piece layers" (BEP 52) as a map from pieces root to layer; nil if there is none.
func (t *Torrent) PieceLayers() map[string]string {
	if t.Tree == nil || t.Tree.Layer == nil {
		return nil
	}
	return map[string]string{string(t.Tree.Root[:]): string(t.Tree.Layer)}
}

// treeHash is what the tree says about piece i; ok is false if it says nothing.
func (t *Torrent) treeHash(i int) (hash [32]byte, ok bool) {
	switch {
	case t.Tree == nil:
		return hash, false
	case t.NumPieces() == 1:
		return t.Tree.Root, true
	case t.Tree.Layer == nil:
		return hash, false
	}
	return [32]byte(t.Tree.Layer[i*32:]), true
}

// Verifiable reports whether the hash of every piece is known. It is false for a torrent that is v2 only, as long as
// its layer is missing.
func (t *Torrent) Verifiable() bool { return t.HasV1() || t.NumPieces() == 1 || t.Tree.Layer != nil }
