package publish

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"

	"snapswarm/common/archive"
	"snapswarm/common/snapshot"
)

// placeholderName is the raw name of generated data. Its download name does not depend on its size, so links stay right.
const placeholderName = "placeholder"

// placeholderSuffix makes the name of a channel that of its channel for generated data.
const placeholderSuffix = "-placeholder"

// PlaceholderSalt is the name of the channel on which generated data is published in the place of that of salt, which must
// be a valid one. The two are never equal: one that is too long for the suffix is cut, marked with a part of its hash so that
// channels that begin alike stay apart, and given another length than it had.
func PlaceholderSalt(salt string) string {
	if len(salt)+len(placeholderSuffix) <= snapshot.MaxSaltLength {
		return salt + placeholderSuffix
	}
	length := snapshot.MaxSaltLength
	if len(salt) == length {
		length--
	}
	sum := sha256.Sum256([]byte(salt))
	mark := "-" + hex.EncodeToString(sum[:4]) + placeholderSuffix
	return salt[:length-len(mark)] + mark
}

// Generated data alternates between bytes that do not compress and records that do, as a database of hashes, signatures and
// balances does. Both halves of a block are longer than what an encoder looks at as one.
const (
	placeholderBlock = 1 << 20
	placeholderHalf  = placeholderBlock / 2
	placeholderShape = 1 // goes up when the same size and seed give other bytes
)

// placeholderRecord is what the compressible half repeats, each time with other digits.
const (
	placeholderRecord = "account 00000000 balance 1000000000 representative none open\n"
	recordDigits      = 8 // how many there are, and where they begin
)

// Placeholder is a source of exactly size bytes that are generated while they are read, always the same ones for the same size and seed. They
// take no room on the disk, and their archive takes about half of theirs.
func Placeholder(size int64, seed uint64) Source {
	return Source{
		Source: placeholder{size, seed}, Kind: snapshot.KindFile, Path: placeholderName, Base: placeholderName,
		Fingerprint: fmt.Sprintf("placeholder %d of shape %d and seed %d", size, placeholderShape, seed),
		Packed:      placeholderRoom(size),
	}
}

// placeholderRoom is the most that the archive of size bytes takes: the random halves as they are, the records at a
// quarter, and some for the archive's own tables.
func placeholderRoom(size int64) int64 {
	random := size/placeholderBlock*placeholderHalf + min(size%placeholderBlock, placeholderHalf)
	return random + (size-random)/4 + size/1024 + 4<<10
}

// placeholder is an archive.Source.
type placeholder struct {
	size int64
	seed uint64
}

var _ archive.Source = placeholder{}

// Name implements archive.Source.
func (p placeholder) Name() string { return placeholderName }

// Size implements archive.Source.
func (p placeholder) Size() int64 { return p.size }

// Open implements archive.Source. It can be called any number of times.
func (p placeholder) Open(ctx context.Context) (io.ReadCloser, error) {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], p.seed)
	copy(seed[8:], placeholderName)
	return &placeholderReader{ctx: ctx, left: p.size, random: rand.NewChaCha8(seed), block: make([]byte, placeholderBlock)}, nil
}

// placeholderReader is one pass. One goroutine uses it.
type placeholderReader struct {
	ctx    context.Context //nolint:containedctx // Open gives it to the reads
	left   int64           // still to be generated
	random *rand.ChaCha8
	block  []byte
	ready  []byte // the part of block that was not read yet
}

// Read implements io.Reader.
func (r *placeholderReader) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	if len(r.ready) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		r.generate()
	}
	n := copy(b, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}

// generate fills the next block. Each takes the same from the random numbers, also the last, shorter one.
func (r *placeholderReader) generate() {
	_, _ = r.random.Read(r.block[:placeholderHalf]) // never fails
	for rest := r.block[placeholderHalf:]; len(rest) > 0; {
		var digits [recordDigits / 2]byte
		_, _ = r.random.Read(digits[:])
		n := copy(rest, placeholderRecord)
		if n >= 2*recordDigits {
			hex.Encode(rest[recordDigits:], digits[:])
		}
		rest = rest[n:]
	}
	n := min(r.left, placeholderBlock)
	r.ready, r.left = r.block[:n], r.left-n
}

// Close implements io.Closer.
func (r *placeholderReader) Close() error { return nil }
