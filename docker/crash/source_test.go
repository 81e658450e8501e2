//go:build e2e && linux

package crash_test

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
)

// source is the file that is published: a row of states, each of which follows from the seed and its number.
type source struct {
	path    string
	seed    uint64
	history *history

	mu      sync.Mutex // guards the rest
	n       int
	raw     [32]byte // SHA-256 of the present state
	resting bool
}

// Sizes of the source. Every third state is large enough to go up in several parts.
const (
	smallState = 4 << 20
	largeState = 20 << 20
)

// content is the n-th state.
func (s *source) content(n int) []byte {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], s.seed)
	binary.BigEndian.PutUint64(seed[8:], uint64(n))
	size := smallState + n%7*12345
	if n%3 == 0 {
		size = largeState
	}
	b := make([]byte, size)
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	clear(b[:size/8])                    // some of it compresses
	return b
}

// next brings the source into its next state, at one instant.
func (s *source) next() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.advance()
}

func (s *source) advance() error {
	b := s.content(s.n + 1)
	s.n++
	s.raw = sha256.Sum256(b)
	s.history.sourceBecame(s.raw)
	temporary := filepath.Join(filepath.Dir(filepath.Dir(s.path)), "next") // outside of what is published
	if err := os.WriteFile(temporary, b, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, s.path)
}

// published tells what the storage's pointer names now. Unless the source rests, it changes as soon as its present state is out.
func (s *source) published(raw [32]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if raw != s.raw || s.resting {
		return nil
	}
	return s.advance()
}

// rest keeps the source as it is, or lets it change again.
func (s *source) rest(resting bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resting = resting
}

// state is what the source holds.
func (s *source) state() (n int, raw [32]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n, s.raw
}
