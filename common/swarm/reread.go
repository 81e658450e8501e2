package swarm

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"unsafe"
)

const (
	// rereadStep is how much the scrubber reads at once: what a disk does in a few milliseconds.
	rereadStep = 1 << 20
	// directAlign is what offsets, lengths and memory of direct reads are multiples of. No disk in use wants more; if one does, its
	// answer is EINVAL, and reads go through the page cache.
	directAlign = 4096
)

// rereader reads the data of a snapshot again, past the page cache where the system can. It belongs to one goroutine.
type rereader struct {
	data   dataFile
	direct *os.File // nil: reads go through data
}

// newRereader never fails: without direct reads there are others.
func newRereader(f dataFile) *rereader {
	r := &rereader{data: f}
	file, ok := f.(*os.File)
	if !ok { // a disk that a test lets fail
		return r
	}
	if info, err := file.Stat(); err == nil {
		if direct, err := openDirect(file, info); err == nil {
			r.direct = direct
		}
	}
	return r
}

// read returns the n bytes at off, at most rereadStep; they lie in buf, which newRereadBuffer made.
func (r *rereader) read(buf []byte, off int64, n int) ([]byte, error) {
	first := off &^ (directAlign - 1)
	skip := int(off - first)
	want := skip + n
	b := buf[:(want+directAlign-1)&^(directAlign-1)]
	got, err := r.readAt(b, first)
	if got < want {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	return b[skip:want], nil
}

// readAt fills b, or reads to the end of the file.
func (r *rereader) readAt(b []byte, off int64) (int, error) {
	if r.direct == nil {
		return r.data.ReadAt(b, off)
	}
	n, err := preadAligned(r.direct, b, off)
	if !errors.Is(err, syscall.EINVAL) {
		return n, err
	}
	if e := bufferReads(r.direct); e != nil {
		return n, fmt.Errorf("read past the page cache: %w", errors.Join(err, e))
	}
	return r.direct.ReadAt(b, off)
}

func (r *rereader) close() error {
	if r.direct == nil {
		return nil
	}
	return r.direct.Close()
}

// newRereadBuffer is memory as direct reads want it: with room for what lies between the bytes asked for and the next multiples.
func newRereadBuffer() []byte {
	b := make([]byte, rereadStep+3*directAlign)
	skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) & (directAlign - 1) //nolint:gosec // the address alone; the heap does not move
	return b[skip : skip+rereadStep+2*directAlign]
}
