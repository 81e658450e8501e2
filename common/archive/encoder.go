package archive

import (
	"fmt"
	"math/bits"
	"runtime/debug"

	"github.com/klauspost/compress/zstd"
)

const (
	encoderModule  = "github.com/klauspost/compress"
	encoderName    = "klauspost/compress"
	encoderVersion = "v1.20.3" // of go.mod, for binaries without build information; a test compares the two
)

// Encoder names the compressor and its version, as a Result and a snapshot's description record it: two programs that name
// the same encoder, level and chunk make the same archive from the same raw data.
func Encoder() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return encoderName + " " + encoderVersion
	}
	for _, m := range info.Deps {
		if m.Path != encoderModule {
			continue
		}
		if m.Replace != nil {
			m = m.Replace
		}
		if m.Version != "" {
			return encoderName + " " + m.Version
		}
	}
	return encoderName + " " + encoderVersion
}

// frameEncoder makes one frame at a time. Not for concurrent use: each worker has its own.
type frameEncoder struct{ enc *zstd.Encoder }

// newFrameEncoder fixes every setting that shapes the bytes. Changing any of them changes the archives of all publishers,
// which the golden files show.
func newFrameEncoder(level Level, chunk int64) (*frameEncoder, error) {
	ok, l := zstd.EncoderLevelFromString(string(level))
	if !ok {
		return nil, fmt.Errorf("compression level %q is unknown to the encoder", level)
	}
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderLevel(l),
		zstd.WithEncoderCRC(true),
		zstd.WithSingleSegment(true), // so that even the shortest frame carries its content size
		zstd.WithWindowSize(windowFor(chunk)),
		zstd.WithLowerEncoderMem(true),
	)
	if err != nil {
		return nil, fmt.Errorf("start encoder: %w", err)
	}
	return &frameEncoder{enc: enc}, nil
}

// encode appends the frame of raw to dst, which needs frameBound(len(raw)) bytes of room to stay where it is.
func (e *frameEncoder) encode(dst, raw []byte) []byte { return e.enc.EncodeAll(raw, dst) }

// windowFor is the smallest window that sees a whole chunk.
func windowFor(chunk int64) int {
	const least = 256 << 10 // two of the largest blocks
	return max(least, 1<<bits.Len64(uint64(chunk-1)))
}

// frameBound is the most bytes that one frame of n raw bytes takes: data that does not compress is stored in blocks of at
// least 4 KiB with 3 bytes each, between header (at most 18 bytes) and checksum (4).
func frameBound(n int64) int64 { return n + 3*(n/MinChunk+1) + 22 }

// minFrame is the least: magic, descriptor, content size, one block header and its byte, checksum.
const minFrame = 4 + 1 + 1 + 3 + 1 + 4

// encoderMemory is about what one encoder holds: its history and the match tables of its level.
func encoderMemory(level Level, chunk int64) int64 {
	tables := map[Level]int64{Fastest: 1 << 20, Balanced: 2 << 20, Better: 5 << 20, Best: 36 << 20}
	return int64(windowFor(chunk)) + tables[level]
}
