package archive

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The seek table of the zstd seekable format, version 0.1.0: one skippable frame after the last data frame.
// https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md
const (
	skippableMagic = 0x184D2A5E
	seekableMagic  = 0x8F92EAB1
	tableHeader    = 8 // skippable magic, frame size
	tableEntry     = 8 // compressed size, raw size; no checksum, every frame has its own
	tableFooter    = 9 // number of frames, descriptor, seekable magic
)

func tableSize(frames int64) int64 { return tableHeader + frames*tableEntry + tableFooter }

// tableWriter collects the entries of a table in the order of the frames.
type tableWriter struct{ b []byte }

func newTableWriter(rawSize, chunk int64) *tableWriter {
	frames := min(max(0, rawSize)/chunk+1, MaxFrames)
	return &tableWriter{b: make([]byte, tableHeader, tableSize(frames))}
}

func (t *tableWriter) add(size, raw int) error {
	if len(t.b) >= tableHeader+MaxFrames*tableEntry {
		return fmt.Errorf("frame %d: %w: an archive has at most that many frames, use larger chunks", MaxFrames, ErrTooLong)
	}
	t.b = binary.LittleEndian.AppendUint32(t.b, uint32(size))
	t.b = binary.LittleEndian.AppendUint32(t.b, uint32(raw))
	return nil
}

// finish returns the whole skippable frame.
func (t *tableWriter) finish() []byte {
	frames := (len(t.b) - tableHeader) / tableEntry
	t.b = binary.LittleEndian.AppendUint32(t.b, uint32(frames))
	t.b = append(t.b, 0)
	t.b = binary.LittleEndian.AppendUint32(t.b, seekableMagic)
	binary.LittleEndian.PutUint32(t.b, skippableMagic)
	binary.LittleEndian.PutUint32(t.b[4:], uint32(len(t.b)-tableHeader))
	return t.b
}

// table is a parsed and checked seek table.
type table struct {
	offsets []int64 // of frame i in the archive; one more at the end
	chunk   int64   // raw bytes of every frame but the last
	raw     int64   // raw bytes of all
}

// readTable reads the table at the end of an archive of size bytes. Nothing is allocated before the number of frames was
// held against the size, the limits and MaxFrames.
func readTable(r io.ReaderAt, size int64, lim Limits) (*table, error) {
	n, err := readFooter(r, size)
	if err != nil {
		return nil, err
	}
	if err := lim.checkFrames(n); err != nil {
		return nil, err
	}
	start := size - tableSize(n)
	if start < 0 {
		return nil, fmt.Errorf("seek table of %d frames in a file of %d bytes: %w", n, size, ErrCorrupt)
	}
	var head [tableHeader]byte
	if err := readFull(r, head[:], start); err != nil {
		return nil, fmt.Errorf("read seek table: %w", err)
	}
	if binary.LittleEndian.Uint32(head[:]) != skippableMagic ||
		int64(binary.LittleEndian.Uint32(head[4:])) != tableSize(n)-tableHeader {
		return nil, fmt.Errorf("seek table of %d frames does not begin where it should: %w", n, ErrCorrupt)
	}
	t := &table{offsets: make([]int64, 1, n+1)}
	if err := t.readEntries(r, start, n, lim); err != nil {
		return nil, err
	}
	if err := t.checkTotals(start, lim); err != nil {
		return nil, err
	}
	return t, nil
}

func readFooter(r io.ReaderAt, size int64) (frames int64, err error) {
	if size < tableSize(0) {
		return 0, fmt.Errorf("file of %d bytes: %w", size, ErrNotSeekable)
	}
	var foot [tableFooter]byte
	if err := readFull(r, foot[:], size-tableFooter); err != nil {
		return 0, fmt.Errorf("read end of the archive: %w", err)
	}
	if binary.LittleEndian.Uint32(foot[5:]) != seekableMagic {
		return 0, fmt.Errorf("file of %d bytes: %w", size, ErrNotSeekable)
	}
	if foot[4] != 0 {
		return 0, fmt.Errorf("seek table descriptor %#02x, want 0: %w", foot[4], ErrCorrupt)
	}
	return int64(binary.LittleEndian.Uint32(foot[:])), nil
}

// readEntries reads the n entries in blocks and checks each by itself and the sums as they grow.
func (t *table) readEntries(r io.ReaderAt, start, n int64, lim Limits) error {
	buf := make([]byte, min(n, 8192)*tableEntry)
	for i := int64(0); i < n; {
		block := buf[:min(n-i, 8192)*tableEntry]
		if err := readFull(r, block, start+tableHeader+i*tableEntry); err != nil {
			return fmt.Errorf("read seek table: %w", err)
		}
		for ; len(block) > 0; block, i = block[tableEntry:], i+1 {
			size := int64(binary.LittleEndian.Uint32(block))
			raw := int64(binary.LittleEndian.Uint32(block[4:]))
			if err := t.add(size, raw, i == n-1, lim); err != nil {
				return fmt.Errorf("frame %d of %d: %w", i, n, err)
			}
		}
	}
	return nil
}

func (t *table) add(size, raw int64, last bool, lim Limits) error {
	if t.chunk == 0 {
		t.chunk = raw
		if lim.Chunk != 0 && (!last || raw > lim.Chunk) {
			t.chunk = lim.Chunk
		}
	}
	if raw < 1 || raw > t.chunk || t.chunk > MaxChunk || !last && (raw != t.chunk || raw%MinChunk != 0) {
		return fmt.Errorf("%d raw bytes in chunks of %d: %w", raw, t.chunk, ErrCorrupt)
	}
	if size < minFrame || size > frameBound(raw) {
		return fmt.Errorf("%d bytes for %d raw ones: %w", size, raw, ErrCorrupt)
	}
	t.raw += raw
	t.offsets = append(t.offsets, t.offsets[len(t.offsets)-1]+size)
	if lim.RawSize >= 0 && t.raw > lim.RawSize {
		return fmt.Errorf("%d raw bytes so far: %w (%d)", t.raw, ErrTooLong, lim.RawSize)
	}
	return nil
}

func (t *table) checkTotals(dataSize int64, lim Limits) error {
	if got := t.offsets[len(t.offsets)-1]; got != dataSize {
		return fmt.Errorf("seek table speaks of %d bytes, there are %d: %w", got, dataSize, ErrCorrupt)
	}
	if lim.RawSize >= 0 && t.raw != lim.RawSize {
		return fmt.Errorf("%d raw bytes, signed were %d: %w", t.raw, lim.RawSize, ErrCorrupt)
	}
	return nil
}

// readFull fills b from off; a file that ends before is ErrCorrupt.
func readFull(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil // ReadAt may report io.EOF with the last byte
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return truncated(err)
}
