package schedule

import "math/bits"

// Set is a set of pieces, one bit each, the first in the lowest bit of the first word. Sets that meet in one call must have been
// made for the same number of pieces.
type Set []uint64

// NewSet returns an empty set for n pieces.
func NewSet(n int) Set { return make(Set, (n+63)/64) }

// Has reports whether piece i is in the set.
func (s Set) Has(i int) bool { return s[i>>6]&(1<<(i&63)) != 0 }

// Add puts piece i in.
func (s Set) Add(i int) { s[i>>6] |= 1 << (i & 63) }

// Remove takes piece i out.
func (s Set) Remove(i int) { s[i>>6] &^= 1 << (i & 63) }

// Clear takes everything out.
func (s Set) Clear() { clear(s) }

// Len counts the pieces.
func (s Set) Len() int {
	n := 0
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// union adds t to s.
func (s Set) union(t Set) {
	t = t[:len(s)]
	for i := range s {
		s[i] |= t[i]
	}
}

// common counts the pieces that s and t share, up to about enough.
func (s Set) common(t Set, enough int) int {
	t = t[:len(s)]
	n := 0
	for i, w := range s {
		if d := w & t[i]; d != 0 {
			if n += bits.OnesCount64(d); n >= enough {
				break
			}
		}
	}
	return n
}

// without counts the pieces of s that t lacks, up to about most.
func (s Set) without(t Set, most int) int {
	t = t[:len(s)]
	n := 0
	for i, w := range s {
		if d := w &^ t[i]; d != 0 {
			if n += bits.OnesCount64(d); n > most {
				break
			}
		}
	}
	return n
}

// grow adds t to s and reports whether anything was new.
func (s Set) grow(t Set) bool {
	t = t[:len(s)]
	var all uint64
	for i, w := range t {
		all |= w &^ s[i]
		s[i] |= w
	}
	return all != 0
}

// sharesMore reports whether s and t share anything that is not in u.
func (s Set) sharesMore(t, u Set) bool {
	for i := range s {
		if s[i]&t[i]&^u[i] != 0 {
			return true
		}
	}
	return false
}
