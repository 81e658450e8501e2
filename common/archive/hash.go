package archive

import (
	"crypto/sha256"
)

// hasher computes a SHA-256 beside the work that produces its input. SHA-256 is sequential, so its speed (1.8 GB/s with the
// CPU's SHA instructions) is the ceiling of a pipeline on many cores.
type hasher struct {
	in  chan hashBlock
	sum chan [32]byte
}

type hashBlock struct {
	b       []byte
	release func()
}

func startHasher(depth int) *hasher {
	h := &hasher{in: make(chan hashBlock, depth), sum: make(chan [32]byte, 1)}
	go func() {
		s := sha256.New()
		for x := range h.in {
			s.Write(x.b)
			x.release()
		}
		h.sum <- [32]byte(s.Sum(nil))
	}()
	return h
}

// add hashes b, which must stay as it is until release is called.
func (h *hasher) add(b []byte, release func()) { h.in <- hashBlock{b, release} }

// finish ends the goroutine and returns the sum. To be called once, after the last add.
func (h *hasher) finish() [32]byte {
	close(h.in)
	return <-h.sum
}
