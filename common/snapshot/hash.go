package snapshot

import (
	"context"
	"crypto/sha1"
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
}

// NewPieceHasher starts a hasher; pieceLength must be positive.
func NewPieceHasher(pieceLength int64) *PieceHasher {
	return &PieceHasher{pieceLength: pieceLength, current: sha1.New()}
}

// Write never fails.
func (h *PieceHasher) Write(p []byte) (int, error) {
	n := len(p)
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

// HashPieces hashes size bytes of r on all cores. It fails when r is shorter.
func HashPieces(ctx context.Context, r io.ReaderAt, size, pieceLength int64) ([]byte, error) {
	if size < 0 || pieceLength <= 0 {
		return nil, errors.New("hash pieces: size or piece length out of range")
	}
	count := (size + pieceLength - 1) / pieceLength
	pieces := make([]byte, count*sha1.Size)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range min(int64(runtime.GOMAXPROCS(0)), count) {
		group.Go(func() error {
			buffer := make([]byte, min(pieceLength, 1<<20))
			for i := next.Add(1) - 1; i < count; i = next.Add(1) - 1 {
				if err := ctx.Err(); err != nil {
					return err
				}
				section := io.NewSectionReader(r, i*pieceLength, min(pieceLength, size-i*pieceLength))
				if err := hashSection(pieces[i*sha1.Size:i*sha1.Size], section, buffer); err != nil {
					return fmt.Errorf("hash piece %d: %w", i, err)
				}
			}
			return nil
		})
	}
	return pieces, group.Wait()
}

// hashSection appends the section's SHA-1 to dst, which has room for it.
func hashSection(dst []byte, section *io.SectionReader, buffer []byte) error {
	h := sha1.New()
	n, err := io.CopyBuffer(h, struct{ io.Reader }{section}, buffer)
	if err != nil {
		return err
	}
	if n != section.Size() {
		return io.ErrUnexpectedEOF
	}
	h.Sum(dst)
	return nil
}
