package archive_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zstd"

	"snapswarm/common/archive"
)

func open(t testing.TB, b []byte, lim archive.Limits) *archive.Reader {
	t.Helper()
	r, err := archive.NewReader(bytes.NewReader(b), int64(len(b)), lim)
	if err != nil {
		t.Fatalf("NewReader: %v", err)
	}
	return r
}

func TestReaderReadsLikeTheRawFile(t *testing.T) {
	raw := noise(1, 9*archive.MinChunk+100)
	b, res := packBytes(t, raw, small)
	r := open(t, b, archive.Limits{RawSize: res.RawSize, Chunk: res.Chunk})
	if r.RawSize() != int64(len(raw)) || r.Frames() != 10 || r.Chunk() != archive.MinChunk {
		t.Errorf("%d raw bytes in %d frames of %d", r.RawSize(), r.Frames(), r.Chunk())
	}
	if err := iotest.TestReader(io.NewSectionReader(r, 0, r.RawSize()), raw); err != nil {
		t.Error(err)
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("ReadAt(-1): no error")
	}
	if n, err := r.ReadAt(make([]byte, 10), r.RawSize()-4); n != 4 || !errors.Is(err, io.EOF) {
		t.Errorf("ReadAt over the end = %d, %v", n, err)
	}
}

func TestReaderIsSharedByManyGoroutines(t *testing.T) {
	raw := noise(2, 40*archive.MinChunk)
	b, _ := packBytes(t, raw, small)
	r := open(t, b, archive.Limits{RawSize: int64(len(raw)), Cache: 2})
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(g, g))
			for range 200 {
				off := rnd.IntN(len(raw))
				p := make([]byte, rnd.IntN(min(len(raw)-off, 3*archive.MinChunk)))
				if n, err := r.ReadAt(p, int64(off)); err != nil || !bytes.Equal(p[:n], raw[off:off+len(p)]) {
					t.Errorf("ReadAt(%d bytes at %d): %d, %v, or other bytes", len(p), off, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// flakyReaderAt fails until it is told otherwise.
type flakyReaderAt struct {
	r    io.ReaderAt
	from int64 // the first offset that fails
	fail bool
}

func (f *flakyReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if f.fail && off >= f.from {
		return 0, errBroken
	}
	return f.r.ReadAt(p, off)
}

func TestReaderPassesErrorsOnAndRecovers(t *testing.T) {
	raw := noise(3, 12*archive.MinChunk)
	b, res := packBytes(t, raw, small)
	f := &flakyReaderAt{r: bytes.NewReader(b), from: 20_000}
	r, err := archive.NewReader(f, res.Size, archive.Limits{RawSize: res.RawSize})
	must(t, err)
	p := make([]byte, len(raw))
	for _, fail := range []bool{true, false, true, false} {
		f.fail = fail
		_, err := r.ReadAt(p, 0)
		if !fail && (err != nil || !bytes.Equal(p, raw)) {
			t.Errorf("ReadAt after recovery: %v, or other bytes", err)
		}
		// Frames that are cached need no source.
		decodeErr := r.Decode(t.Context(), io.Discard, 2)
		if fail != errors.Is(decodeErr, errBroken) {
			t.Errorf("failing: %t, Decode = %v", fail, decodeErr)
		}
	}
}

func TestDecodeWritesTheRawBytesInOrder(t *testing.T) {
	raw := noise(4, 50*archive.MinChunk+1)
	b, res := packBytes(t, raw, small)
	r := open(t, b, archive.Limits{RawSize: res.RawSize})
	for _, workers := range []int{0, 1, 5} {
		var got bytes.Buffer
		if err := r.Decode(t.Context(), &got, workers); err != nil || !bytes.Equal(got.Bytes(), raw) {
			t.Errorf("%d workers: %v, or other bytes", workers, err)
		}
		if err := r.Decode(t.Context(), &brokenWriter{100_000}, workers); !errors.Is(err, errBroken) {
			t.Errorf("Decode into a full disk = %v, want %v", err, errBroken)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Decode(ctx, io.Discard, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("Decode = %v, want %v", err, context.Canceled)
	}
}

func TestFramesCoverTheArchive(t *testing.T) {
	b, res := packBytes(t, noise(5, 5*archive.MinChunk+9), small)
	r := open(t, b, archive.Limits{RawSize: res.RawSize})
	var off, raw int64
	for i := range r.Frames() {
		f := r.Frame(i)
		if f.Offset != off || f.RawOffset != raw {
			t.Errorf("frame %d = %+v, want it at %d and %d", i, f, off, raw)
		}
		if r.FrameAt(f.Offset) != i || r.FrameAt(f.Offset+f.Size-1) != i {
			t.Errorf("FrameAt does not find frame %d", i)
		}
		off, raw = off+f.Size, raw+f.RawSize
	}
	if raw != res.RawSize || r.FrameAt(off) != r.Frames() {
		t.Errorf("frames cover %d raw bytes of %d", raw, res.RawSize)
	}
}

func TestTruncatedAnywhereIsRefused(t *testing.T) {
	b, res := packBytes(t, noise(6, 3*archive.MinChunk+50), small)
	dst := t.TempDir()
	for n := range b {
		if err := extract(t.Context(), b[:n], dst, signed(res, "f")); !errors.Is(err, archive.ErrCorrupt) {
			t.Fatalf("cut to %d of %d bytes: %v, want %v", n, len(b), err, archive.ErrCorrupt)
		}
	}
	checkNames(t, dst)
}

// A file that is as long as it should be, but ends in the middle of a read.
func TestMissingBytesAreCorrupt(t *testing.T) {
	b, res := packBytes(t, noise(6, 3*archive.MinChunk), small)
	for _, n := range []int{0, 100, len(b) - 30, len(b) - 1} {
		err := archive.Extract(t.Context(), bytes.NewReader(b[:n]), res.Size, t.TempDir(), signed(res, "f"))
		if !errors.Is(err, archive.ErrCorrupt) {
			t.Errorf("%d of %d bytes: %v, want %v", n, len(b), err, archive.ErrCorrupt)
		}
	}
}

// Whatever bit is wrong: either it is found, or it does not matter (zstd has one unused bit per frame).
func TestFlippedBitsNeverYieldOtherBytes(t *testing.T) {
	raw := noise(7, archive.MinChunk+50)
	b, res := packBytes(t, raw, small)
	parent := t.TempDir()
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1 << (i % 8)
		dst := filepath.Join(parent, fmt.Sprint(i))
		err := extract(t.Context(), bad, dst, signed(res, "f"))
		if err == nil {
			checkFile(t, filepath.Join(dst, "f"), raw)
		} else if !errors.Is(err, archive.ErrCorrupt) && !errors.Is(err, archive.ErrTooLong) {
			t.Errorf("byte %d: %v", i, err)
		}
	}
}

func TestWrongHashLeavesNothing(t *testing.T) {
	b, res := packBytes(t, noise(8, 9000), small)
	o := signed(res, "f")
	o.RawSHA256[0]++
	dst := t.TempDir()
	if err := extract(t.Context(), b, dst, o); !errors.Is(err, archive.ErrCorrupt) {
		t.Errorf("Extract = %v, want %v", err, archive.ErrCorrupt)
	}
	checkNames(t, dst)
}

func TestRawNamesThatAreRefused(t *testing.T) {
	b, res := packBytes(t, []byte("x"), small)
	for _, name := range []string{".", "..", "/x", "a/b", `a\b`, "../x", "a\x00", "\xff", string(make([]byte, 300))} {
		if err := extract(t.Context(), b, t.TempDir(), archive.ExtractOptions{RawSize: res.RawSize, RawSHA256: res.RawSHA256, RawName: name}); !errors.Is(err, archive.ErrUnsafePath) {
			t.Errorf("raw name %q: %v, want %v", name, err, archive.ErrUnsafePath)
		}
	}
}

// build makes an archive of any frames with any table.
func build(frames [][]byte, entries ...[2]uint32) []byte {
	var b []byte
	for _, f := range frames {
		b = append(b, f...)
	}
	b = binary.LittleEndian.AppendUint32(b, 0x184D2A5E)
	b = binary.LittleEndian.AppendUint32(b, uint32(8*len(entries)+9))
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint32(b, e[0])
		b = binary.LittleEndian.AppendUint32(b, e[1])
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(entries)))
	b = append(b, 0)
	return binary.LittleEndian.AppendUint32(b, 0x8F92EAB1)
}

func frame(t testing.TB, n int, o ...zstd.EOption) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil, append([]zstd.EOption{zstd.WithSingleSegment(true), zstd.WithEncoderConcurrency(1)}, o...)...)
	must(t, err)
	return enc.EncodeAll(make([]byte, n), nil)
}

func TestArchivesThatLie(t *testing.T) {
	const c = archive.MinChunk
	f := frame(t, c)
	n := uint32(len(f))
	entry := [2]uint32{n, c}
	bomb := frame(t, 1<<26)
	magic := bytes.Clone(f)
	magic[0]++
	skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, byte(n - 8), 0, 0, 0}, make([]byte, n-8)...)
	flagged := build([][]byte{f}, entry)
	flagged[len(flagged)-5] = 0x80
	count := func(frames uint32) []byte {
		b := build([][]byte{f}, entry)
		binary.LittleEndian.PutUint32(b[len(b)-9:], frames)
		return b
	}
	for name, tt := range map[string]struct {
		b    []byte
		raw  int64
		want error
	}{
		"nothing at all":                         {nil, 0, archive.ErrNotSeekable},
		"an ordinary zstd file":                  {f, c, archive.ErrNotSeekable},
		"more frames than the file has room for": {count(3), 3 * c, archive.ErrCorrupt},
		"four thousand million frames":           {count(1<<32 - 1), 1 << 62, archive.ErrTooLong},
		"more frames than were signed":           {build([][]byte{f, f}, entry, entry), c, archive.ErrTooLong},
		"more raw bytes than were signed":        {build([][]byte{f}, [2]uint32{n, 2 * c}), c, archive.ErrTooLong},
		"fewer raw bytes than were signed":       {build([][]byte{f}, entry), 2 * c, archive.ErrCorrupt},
		"a table with checksums":                 {flagged, c, archive.ErrCorrupt},
		"a table that leaves bytes over":         {build([][]byte{f, f}, entry), c, archive.ErrCorrupt},
		"a table that speaks of more":            {build([][]byte{f}, [2]uint32{n + 1, c}), c, archive.ErrCorrupt},
		"chunks of different sizes":              {build([][]byte{f, f, f}, entry, [2]uint32{n, c - 1}, [2]uint32{n, c}), 3*c - 1, archive.ErrCorrupt},
		"chunks that grow":                       {build([][]byte{f, f}, entry, [2]uint32{n, c + 1}), 2*c + 1, archive.ErrCorrupt},
		"a chunk of nothing":                     {build([][]byte{f, f}, entry, [2]uint32{n, 0}), c, archive.ErrTooLong},
		"a chunk that is too large":              {build([][]byte{bomb}, [2]uint32{uint32(len(bomb)), 1 << 26}), 1 << 26, archive.ErrCorrupt},
		"an odd chunk":                           {build([][]byte{f, f}, [2]uint32{n, c + 1}, [2]uint32{n, 1}), c + 2, archive.ErrCorrupt},
		"a frame that is larger than its data":   {build([][]byte{make([]byte, 9000)}, [2]uint32{9000, c}), c, archive.ErrCorrupt},
		"a frame that decodes to more":           {build([][]byte{frame(t, 1<<20)}, [2]uint32{uint32(len(frame(t, 1<<20))), c}), c, archive.ErrTooLong},
		"a frame that decodes to less":           {build([][]byte{frame(t, c-1)}, [2]uint32{uint32(len(frame(t, c-1))), c}), c, archive.ErrCorrupt},
		"another magic":                          {build([][]byte{magic}, entry), c, archive.ErrCorrupt},
		"a skippable frame":                      {build([][]byte{skippable}, entry), c, archive.ErrCorrupt},
		"a frame without checksum":               {build([][]byte{frame(t, c, zstd.WithEncoderCRC(false))}, [2]uint32{n - 4, c}), c, archive.ErrCorrupt},
		"two frames as one":                      {build([][]byte{f, f}, [2]uint32{2 * n, c}), c, archive.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			dst := t.TempDir()
			err := extract(t.Context(), tt.b, dst, archive.ExtractOptions{RawSize: tt.raw, RawName: "f"})
			if !errors.Is(err, tt.want) {
				t.Errorf("Extract = %v, want %v", err, tt.want)
			}
			checkNames(t, dst)
		})
	}
}

func TestSignedChunkIsHeld(t *testing.T) {
	b, res := packBytes(t, noise(1, 3*archive.MinChunk), small)
	for _, chunk := range []int64{2 * archive.MinChunk, archive.DefaultChunk} {
		_, err := archive.NewReader(bytes.NewReader(b), res.Size, archive.Limits{RawSize: res.RawSize, Chunk: chunk})
		if err == nil {
			t.Errorf("chunks of %d passed for %d", res.Chunk, chunk)
		}
	}
	b, res = packBytes(t, noise(1, 100), archive.Options{})
	open(t, b, archive.Limits{RawSize: res.RawSize, Chunk: archive.DefaultChunk})
}

func TestFrameBoundHoldsForNoise(t *testing.T) {
	for _, level := range []archive.Level{archive.Fastest, archive.Balanced, archive.Better, archive.Best} {
		for _, n := range []int{1, 255, 256, 4096, 65_535, 65_536, 200_000, 1 << 20} {
			raw := make([]byte, n)
			r := rand.New(rand.NewPCG(1, uint64(n)))
			for i := range raw {
				raw[i] = byte(r.Uint32())
			}
			b, res := packBytes(t, raw, archive.Options{Level: level, ChunkSize: 1 << 20})
			f := open(t, b, archive.Limits{RawSize: res.RawSize}).Frame(0)
			if most := archive.FrameBound(int64(n)); f.Size > most {
				t.Errorf("%s: %d bytes of noise take %d, bound is %d", level, n, f.Size, most)
			}
		}
	}
}
