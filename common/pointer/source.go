package pointer

import (
	"context"
	"time"

	"snapswarm/common/snapshot"
)

// Source is a place where records are found: the DHT, a bucket, a gateway, a mirror.
//
// Lookup returns what it holds of ch, in any order, at most [MaxAnswers] of it is looked at. Nothing
// found is no error but an empty answer; an error means that the source could not be asked, except
// that [ErrMalformed] or [ErrTooLarge] says that what it holds is no record, which is a refusal. Records
// need not be verified. It must return soon after ctx has ended and may be called by several
// goroutines. Name is for people: logs, errors, status pages.
type Source interface {
	Name() string
	Lookup(ctx context.Context, ch snapshot.Channel) ([]Record, error)
}

// MaxAnswers is how many records of one answer are looked at.
const MaxAnswers = 16

// Saved is the name under which a [Resolution] names the ratchet's own memory as its source.
const Saved = "saved"

// Resolution is the newest record known after a round of asking.
type Resolution struct {
	// Record and Pointer are the newest that may be followed. See [Resolution.Known].
	Record  Record
	Pointer Pointer
	// Source names where the record was found, or is [Saved] when no source offered anything as new
	// as what was accepted before.
	Source string
	// Changed is true when this round accepted a record that was not known before.
	Changed bool
	// Answers tells for each source, in the order configured, what it said.
	Answers []Answer
	// Refused lists what was found and may not be followed, once per source and record.
	Refused []Refusal
}

// Known reports whether there is a record at all. It can be true beside an error: then the sources
// were of no use, but an earlier round had accepted one.
func (r Resolution) Known() bool { return r.Record.Seq > 0 }

// Answer is what one source said.
type Answer struct {
	Source string
	// Seq is the highest sequence number it offered that may be followed; 0 means none.
	Seq int64
	// Records is how many records it offered.
	Records int
	// Err tells why the source could not be asked.
	Err error
	// Late is true when the source had not answered when the round ended; not a failure by itself.
	Late bool
	// Took is how long it took.
	Took time.Duration
}

// Refusal is a record that may not be followed, and why: one of this package's errors.
type Refusal struct {
	Source string
	Seq    int64
	Err    error
}
