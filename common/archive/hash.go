package archive

import (
	"crypto/sha256"
	"hash"
	"io"
)

// tap hands blocks to w beside the work that produces them, in order and without copying them.
type tap struct {
	in  chan tapBlock
	end chan error
}

type tapBlock struct {
	b       []byte
	release func()
}

func startTap(w io.Writer, depth int) *tap {
	t := &tap{in: make(chan tapBlock, depth), end: make(chan error, 1)}
	go func() {
		var err error
		for x := range t.in {
			if err == nil {
				_, err = w.Write(x.b)
			}
			x.release() // after an error, too: nobody may wait for it
		}
		t.end <- err
	}()
	return t
}

// add queues b, which must stay as it is until release is called.
func (t *tap) add(b []byte, release func()) { t.in <- tapBlock{b, release} }

// finish ends the goroutine and returns the first error of w. To be called once, after the last add.
func (t *tap) finish() error {
	close(t.in)
	return <-t.end
}

// hasher computes a SHA-256. SHA-256 is sequential, so its speed (1.8 GB/s with the CPU's SHA instructions) is the ceiling of
// a pipeline on many cores.
type hasher struct {
	*tap
	hash hash.Hash
}

func startHasher(depth int) *hasher {
	h := sha256.New()
	return &hasher{startTap(h, depth), h}
}

// sum is finish for a hash, which never fails.
func (h *hasher) sum() [32]byte {
	_ = h.finish()
	return [32]byte(h.hash.Sum(nil))
}
