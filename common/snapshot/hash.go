package snapshot

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// PieceLengthFor chooses the piece length for data of the given size in bytes: the power of two
// from 256 KiB to 32 MiB that makes at most 16 Ki pieces, while 32 MiB suffices. A negative size
// means "unknown" and gives 4 MiB.
//
// Producers pass the raw size, because the archive's is not known before it is written; an archive
// is at most a little larger, so the number of pieces stays within the aim.
func PieceLengthFor(size int64) int64 {
	if size < 0 {
		return 4 << 20
	}
	length := int64(MinPieceLength)
	for length < MaxPieceLength && size > length*usualPieces {
		length *= 2
	}
	return length
}

// PieceHasher hashes a stream into pieces as it is written. It needs no memory beyond the hashes;
// one core does about 2 GB/s where the processor has SHA instructions. Not safe for concurrent use.
type PieceHasher struct {
	pieceLength int64
	current     hash.Hash
	filled      int64
	size        int64
	pieces      []byte
	tree        *treeHasher // nil: no hybrid
}

// NewPieceHasher starts a hasher; pieceLength must be positive.
func NewPieceHasher(pieceLength int64) *PieceHasher {
	return &PieceHasher{pieceLength: pieceLength, current: sha1.New()}
}

// NewHybridHasher is [NewPieceHasher] with the tree of BitTorrent v2 beside the pieces of v1; pieceLength must
// be a power of two of at least 16 KiB. It takes about twice the time.
func NewHybridHasher(pieceLength int64) *PieceHasher {
	h := NewPieceHasher(pieceLength)
	h.tree = &treeHasher{pieceLength: pieceLength}
	return h
}

// Write never fails.
func (h *PieceHasher) Write(p []byte) (int, error) {
	n := len(p)
	if h.tree != nil {
		h.tree.write(p)
	}
	for len(p) > 0 {
		take := min(int64(len(p)), h.pieceLength-h.filled)
		h.current.Write(p[:take])
		h.filled += take
		p = p[take:]
		if h.filled == h.pieceLength {
			h.finishPiece()
		}
	}
	h.size += int64(n)
	return n, nil
}

func (h *PieceHasher) finishPiece() {
	h.pieces = h.current.Sum(h.pieces)
	h.current.Reset()
	h.filled = 0
}

// Sum ends the last piece and returns all hashes and the number of bytes written. Call it once.
func (h *PieceHasher) Sum() (pieces []byte, size int64) {
	if h.filled > 0 {
		h.finishPiece()
	}
	return h.pieces, h.size
}

// Tree ends the tree of a [NewHybridHasher] and returns it; nil if nothing was written, or for any other. Call it once.
func (h *PieceHasher) Tree() *Tree {
	if h.tree == nil {
		return nil
	}
	return h.tree.sum()
}

// HashPieces hashes size bytes of r on all cores. It fails when r is shorter.
func HashPieces(ctx context.Context, r io.ReaderAt, size, pieceLength int64) ([]byte, error) {
	pieces, _, err := hashAll(ctx, r, size, pieceLength, false)
	return pieces, err
}

// HashHybrid is [HashPieces] with the tree of BitTorrent v2 beside the pieces of v1, in one pass over the data.
// pieceLength must be a power of two of at least 16 KiB. The tree of no bytes is nil.
func HashHybrid(ctx context.Context, r io.ReaderAt, size, pieceLength int64) (pieces []byte, tree *Tree, err error) {
	return hashAll(ctx, r, size, pieceLength, true)
}

func hashAll(ctx context.Context, r io.ReaderAt, size, pieceLength int64, hybrid bool) ([]byte, *Tree, error) {
	if size < 0 || pieceLength <= 0 {
		return nil, nil, errors.New("hash pieces: size or piece length out of range")
	}
	count := (size + pieceLength - 1) / pieceLength
	pieces := make([]byte, count*sha1.Size)
	var layer []byte
	if hybrid {
		layer = make([]byte, count*sha256.Size)
	}
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(int64(runtime.GOMAXPROCS(0)), count) {
		group.Go(func() error {
			h := sectionHasher{v1: sha1.New(), buffer: make([]byte, min(pieceLength, 1<<20)), width: piecesWidth(count, pieceLength)}
			for i := next.Add(1) - 1; i < count; i = next.Add(1) - 1 {
				if err := ctx.Err(); err != nil {
					return err
				}
				section := io.NewSectionReader(r, i*pieceLength, min(pieceLength, size-i*pieceLength))
				if err := h.hash(section, hybrid); err != nil {
					return fmt.Errorf("hash piece %d: %w", i, err)
				}
				h.v1.Sum(pieces[i*sha1.Size : i*sha1.Size])
				if hybrid {
					root := h.v2.root(h.width)
					copy(layer[i*sha256.Size:], root[:])
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil || !hybrid || count == 0 {
		return pieces, nil, err
	}
	return pieces, newTree(layer, pieceLength), nil
}

// sectionHasher hashes pieces one after another.
type sectionHasher struct {
	v1     hash.Hash
	v2     blockHasher
	width  int // of the tree of a piece
	buffer []byte
}

// hash reads a piece, whose hashes are then the state of v1 and, with hybrid, v2.
func (h *sectionHasher) hash(section *io.SectionReader, hybrid bool) error {
	h.v1.Reset()
	for done := int64(0); done < section.Size(); {
		n, err := io.ReadFull(section, h.buffer[:min(int64(len(h.buffer)), section.Size()-done)])
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		h.v1.Write(h.buffer[:n])
		if hybrid {
			h.v2.write(h.buffer[:n])
		}
		done += int64(n)
	}
	return nil
}
