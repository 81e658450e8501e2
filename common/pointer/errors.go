package pointer

import "errors"

// What can be wrong with a record. Each is wrapped with the figures of the record in question.
var (
	// ErrMalformed means that the bytes are no record, or its value no pointer.
	ErrMalformed = errors.New("malformed pointer")
	// ErrTooLarge means more bytes than BEP 44 or FORMAT.md allow.
	ErrTooLarge = errors.New("pointer too large")
	// ErrWrongChannel means that the record was signed for another key or salt than the one followed.
	ErrWrongChannel = errors.New("pointer of another channel")
	// ErrSignature means that the signature does not match: forged, damaged, or signed by another key.
	ErrSignature = errors.New("wrong signature")
	// ErrSequence means a sequence number that no publisher uses: zero or negative.
	ErrSequence = errors.New("impossible sequence number")
	// ErrFuture means a sequence number further ahead of the clock than [MaxAhead]. Either this
	// machine's clock is behind or the publisher's is ahead.
	ErrFuture = errors.New("pointer from the future")
	// ErrOlder means that a newer record was accepted before. From a DHT node that is normal: it
	// holds an old copy. It must never be followed.
	ErrOlder = errors.New("older than the pointer already accepted")
	// ErrConflict means that the publisher's key signed two different values with the same sequence
	// number: two publishers use one key, or it was stolen. The first one accepted stays; only a
	// higher sequence number is followed.
	ErrConflict = errors.New("two pointers with the same sequence number")
)

// What a [Resolver] reports when it has no new answer.
var (
	// ErrNotFound means that no source had any record of the channel.
	ErrNotFound = errors.New("no pointer found")
	// ErrAllRefused means that records were found and every one of them was refused.
	ErrAllRefused = errors.New("every pointer found was refused")
)
