package pointer

import (
	"crypto/sha256"
	"fmt"
)

// conflict is the evidence of [ErrConflict]: two records that the channel's key signed with the same
// sequence number, in the order in which they were seen.
type conflict struct{ first, second Record }

// conflictError is an [ErrConflict] that tells which values, each by the beginning of its SHA-256:
// enough to compare what several readers say. [Ratchet.Conflict] has them whole.
type conflictError struct {
	conflict

	kept string // source of the first, [Saved] if an earlier round's; "" where it is not known
}

func (e *conflictError) Error() string {
	from := ""
	if e.kept != "" {
		from = " from " + e.kept
	}
	return fmt.Sprintf("%v: seq %d has value %s%s, which is kept, and value %s, which is refused; two publishers use this "+
		"channel's key, or it was stolen: tell the publisher, who must end one of them, or take a new key and announce it",
		ErrConflict, e.first.Seq, short(e.first.Value), from, short(e.second.Value))
}

func (e *conflictError) Unwrap() error { return ErrConflict }

func short(value []byte) string {
	sum := sha256.Sum256(value)
	return fmt.Sprintf("%x", sum[:4])
}
