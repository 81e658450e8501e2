package snapshot

import (
	"encoding/hex"
	"fmt"
)

// InfoHash is an info-hash of 20 bytes: the SHA-1 of the bencoded info dictionary (BEP 3), or the first bytes of its
// SHA-256 where a torrent is v2 only (BEP 52).
// The zero value means "none".
type InfoHash [20]byte

// ParseInfoHash reads 40 hexadecimal digits, in either case.
func ParseInfoHash(s string) (InfoHash, error) {
	var h InfoHash
	if len(s) != hex.EncodedLen(len(h)) {
		return InfoHash{}, fmt.Errorf("parse info-hash %q: want 40 hexadecimal digits, have %d characters", clip(s), len(s))
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return InfoHash{}, fmt.Errorf("parse info-hash %q: %w", clip(s), err)
	}
	return h, nil
}

// String is the info-hash in 40 lower-case hexadecimal digits.
func (h InfoHash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h is the zero value, which no torrent has.
func (h InfoHash) IsZero() bool { return h == InfoHash{} }

// clip keeps foreign text in an error message short.
func clip(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
