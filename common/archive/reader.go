package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/klauspost/compress/zstd"
)

// Limits is what a Reader holds an archive against before it allocates or decodes anything.
type Limits struct {
	RawSize int64 // the signed size; negative = not known, only for archives of one's own making
	Chunk   int64 // the signed chunk size; 0 = not known
	Cache   int   // decoded frames that ReadAt keeps and thus decodes at once; 0 = 4
}

// checkFrames refuses a number of frames that cannot be, given what was signed.
func (l Limits) checkFrames(n int64) error {
	if n > MaxFrames {
		return fmt.Errorf("seek table of %d frames: %w: at most %d", n, ErrTooLong, MaxFrames)
	}
	if l.RawSize < 0 {
		return nil
	}
	chunk := l.Chunk
	if chunk <= 0 {
		chunk = MinChunk
	}
	if most := (l.RawSize + chunk - 1) / chunk; n > most {
		return fmt.Errorf("seek table of %d frames, at most %d for %d raw bytes: %w", n, most, l.RawSize, ErrTooLong)
	}
	return nil
}

// Frame is one frame of an archive.
type Frame struct {
	Offset, Size       int64 // in the archive
	RawOffset, RawSize int64
}

// Reader reads the raw data of an archive at any offset. It may be used by several goroutines at once. It needs no Close.
type Reader struct {
	r     io.ReaderAt
	table *table
	cache *cache
}

// NewReader reads and checks the seek table of an archive of size bytes. r may be an archive that is still arriving: only
// the end is read here. Errors: ErrNotSeekable, ErrCorrupt, ErrTooLong, and those of r.
func NewReader(r io.ReaderAt, size int64, lim Limits) (*Reader, error) {
	t, err := readTable(r, size, lim)
	if err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	if lim.Cache <= 0 {
		lim.Cache = 4
	}
	rd := &Reader{r: r, table: t}
	rd.cache = newCache(lim.Cache)
	return rd, nil
}

// RawSize is the number of raw bytes.
func (r *Reader) RawSize() int64 { return r.table.raw }

// Chunk is the raw size of every frame but the last, which may be shorter.
func (r *Reader) Chunk() int64 { return r.table.chunk }

// Frames is the number of frames.
func (r *Reader) Frames() int { return len(r.table.offsets) - 1 }

// Frame describes frame i, 0 <= i < Frames().
func (r *Reader) Frame(i int) Frame {
	at := int64(i) * r.table.chunk
	return Frame{
		Offset: r.table.offsets[i], Size: r.table.offsets[i+1] - r.table.offsets[i],
		RawOffset: at, RawSize: min(r.table.chunk, r.table.raw-at),
	}
}

// FrameAt is the frame in which the archive's byte off lies; Frames() for the seek table.
func (r *Reader) FrameAt(off int64) int {
	return sort.Search(r.Frames(), func(i int) bool { return r.table.offsets[i+1] > off })
}

// ReadAt implements io.ReaderAt over the raw data. Every frame is checked against its checksum before a byte of it is
// returned; whether it is what was signed is for the caller to know (pieces, RawSHA256). While the archive's own io.ReaderAt
// blocks, so does this, and it keeps one place of the cache.
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("read archive: negative offset")
	}
	for n < len(p) {
		at := off + int64(n)
		if at >= r.table.raw {
			return n, io.EOF
		}
		i := int(at / r.table.chunk)
		s, err := r.cache.get(r, i)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], s.raw[at-int64(i)*r.table.chunk:])
		r.cache.put(s)
	}
	return n, nil
}

// frameDecoder decodes one frame at a time into memory that was sized by the table, never by the frame.
type frameDecoder struct {
	dec *zstd.Decoder
	in  []byte
}

func newFrameDecoder() (*frameDecoder, error) {
	dec, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(MaxChunk),
		zstd.WithDecoderMaxWindow(MaxChunk),
		zstd.WithDecodeAllCapLimit(true),
	)
	if err != nil {
		return nil, fmt.Errorf("start decoder: %w", err)
	}
	return &frameDecoder{dec: dec}, nil
}

// decode returns the raw bytes of frame i, in buf if that has room.
func (d *frameDecoder) decode(r *Reader, i int, buf []byte) ([]byte, error) {
	f := r.Frame(i)
	if int64(cap(d.in)) < f.Size {
		d.in = make([]byte, frameBound(min(r.table.chunk, r.table.raw)))
	}
	in := d.in[:f.Size]
	if err := readFull(r.r, in, f.Offset); err != nil {
		return buf, fmt.Errorf("read frame %d: %w", i, err)
	}
	if err := checkHeader(in, f.RawSize); err != nil {
		return buf, fmt.Errorf("frame %d: %w", i, err)
	}
	if int64(cap(buf)) < f.RawSize {
		buf = make([]byte, 0, min(r.table.chunk, r.table.raw))
	}
	out, err := d.dec.DecodeAll(in, buf[:0:f.RawSize])
	if err == nil && int64(len(out)) != f.RawSize {
		err = fmt.Errorf("%d raw bytes instead of %d", len(out), f.RawSize)
	}
	if err != nil {
		return buf, fmt.Errorf("frame %d: %w: %w", i, ErrCorrupt, err)
	}
	return out, nil
}

// checkHeader holds the frame's own header against the table before it is decoded.
func checkHeader(frame []byte, raw int64) error {
	var h zstd.Header
	if err := h.Decode(frame); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	switch {
	case h.Skippable, h.DictionaryID != 0, !h.HasFCS, !h.HasCheckSum, !h.SingleSegment:
		return fmt.Errorf("%w: not a data frame with content size and checksum", ErrCorrupt)
	case h.FrameContentSize > uint64(raw):
		return fmt.Errorf("%d raw bytes, the table says %d: %w: %w", h.FrameContentSize, raw, ErrCorrupt, ErrTooLong)
	case h.FrameContentSize < uint64(raw):
		return fmt.Errorf("%d raw bytes, the table says %d: %w", h.FrameContentSize, raw, ErrCorrupt)
	}
	return nil
}

// Decode writes all raw data to w in order, decoded by several workers (0 = one per core). It returns after all its
// goroutines have. Errors: ErrCorrupt, those of the archive's io.ReaderAt and of w, and ctx's.
func (r *Reader) Decode(ctx context.Context, w io.Writer, workers int) error {
	return r.decode(ctx, workers, func(j *frameJob) error {
		defer j.done()
		return writeRaw(w, j.raw)
	})
}

func writeRaw(w io.Writer, b []byte) error {
	n, err := w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}
