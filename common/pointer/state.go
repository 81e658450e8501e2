package pointer

import (
	"errors"
	"fmt"

	"snapswarm/common/snapshot"
)

const (
	stateVersion = 1
	maxStateSize = 16 << 10
)

// errStateVersion means an intact file of another format: it is left alone, because to set it aside
// would give up its protection.
var errStateVersion = errors.New("written by another version of this program")

// encode is the content of a ratchet file: a bencoded dictionary of the encoded records and the
// version of the format.
func (s *state) encode() []byte {
	b := []byte{'d'}
	b = appendBytes(append(b, "8:accepted"...), s.accepted.Encode())
	if c := s.conflict; c != nil {
		b = appendBytes(append(b, "14:conflict-first"...), c.first.Encode())
		b = appendBytes(append(b, "15:conflict-second"...), c.second.Encode())
	}
	b = appendInt(append(b, "7:version"...), stateVersion)
	return append(b, 'e')
}

// parseState reads a ratchet file of ch. Every record in it is verified, so that damage to the disk
// cannot become a pointer.
func parseState(b []byte, ch snapshot.Channel) (*state, error) {
	var st state
	var version int64
	var first, second *Record
	c := cursor{rest: b}
	err := c.dict(func(key string) (err error) {
		switch key {
		case "accepted":
			st.accepted, err = c.record(ch)
		case "conflict-first":
			first, err = c.record(ch)
		case "conflict-second":
			second, err = c.record(ch)
		case "version":
			version, err = c.integer()
		default:
			_, err = c.value()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if version != stateVersion {
		return nil, fmt.Errorf("%w: format version %d, known is %d", errStateVersion, version, stateVersion)
	}
	if st.accepted == nil {
		return nil, errors.New("holds no record")
	}
	if first != nil && second != nil {
		st.conflict = &conflict{first: *first, second: *second}
	}
	return &st, c.done()
}

// record reads an encoded record of ch and verifies it.
func (c *cursor) record(ch snapshot.Channel) (*Record, error) {
	b, err := c.bytes()
	if err != nil {
		return nil, err
	}
	rec, err := ParseRecord(b)
	if err != nil {
		return nil, err
	}
	if err := rec.Verify(ch); err != nil {
		return nil, err
	}
	if _, err := rec.Pointer(); err != nil {
		return nil, err
	}
	return &rec, nil
}
