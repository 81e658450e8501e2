package pointer

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha1"
	"errors"
	"fmt"
	"time"

	"snapswarm/common/snapshot"
)

const (
	// MaxValueSize is the longest value in bytes (BEP 44).
	MaxValueSize = 1000
	// MaxRecordSize bounds how many bytes of an encoded record are read at all. The largest valid
	// one is smaller; the room above it lets an oversized value be named as such.
	MaxRecordSize = 2048
	// MaxAhead is how far a sequence number may be ahead of the reader's clock.
	MaxAhead = 10 * time.Minute
)

// Record is a BEP 44 mutable item. It is a plain value; Value must not be modified.
type Record struct {
	// Key is the publisher's Ed25519 public key.
	Key [ed25519.PublicKeySize]byte
	// Salt is the channel's short name; empty means that the item has none.
	Salt string
	// Seq is the sequence number. Publishers use unix milliseconds, strictly growing.
	Seq int64
	// Value is the bencoded v, at most [MaxValueSize] bytes.
	Value []byte
	// Sig is the signature over salt, seq and v (BEP 44).
	Sig [ed25519.SignatureSize]byte
}

// Sign makes the record of p. Use the time in unix milliseconds as seq, or one more than the last
// one, whichever is higher. It refuses what readers would refuse: [ErrTooLarge], [ErrMalformed],
// [ErrSequence].
func Sign(key ed25519.PrivateKey, salt string, seq int64, p Pointer) (Record, error) {
	if len(key) != ed25519.PrivateKeySize {
		return Record{}, fmt.Errorf("sign pointer: private key has %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	value, err := p.encode()
	if err != nil {
		return Record{}, fmt.Errorf("sign pointer: %w", err)
	}
	r := Record{Salt: salt, Seq: seq, Value: value}
	copy(r.Key[:], key.Public().(ed25519.PublicKey))
	if err := r.checkLimits(); err != nil {
		return Record{}, fmt.Errorf("sign pointer: %w", err)
	}
	copy(r.Sig[:], ed25519.Sign(key, r.signed()))
	return r, nil
}

// Channel is the channel that the record claims to belong to.
func (r Record) Channel() snapshot.Channel { return snapshot.Channel{Key: r.Key, Salt: r.Salt} }

// Time is when the record was signed, as its sequence number says. See [Record.Timed].
func (r Record) Time() time.Time { return time.UnixMilli(r.Seq).UTC() }

// firstTime is in 2015, before which nobody can have signed a record in earnest.
const firstTime = 1_420_000_000_000

// Timed reports whether the sequence number is a time at all: other publishers' may only count.
func (r Record) Timed() bool { return r.Seq >= firstTime }

// Target is where the DHT keeps the record: SHA1(key ‖ salt) (BEP 44).
func (r Record) Target() [sha1.Size]byte { return Target(r.Channel()) }

// Target is where the DHT keeps the records of ch: SHA1(key ‖ salt) (BEP 44).
func Target(ch snapshot.Channel) [sha1.Size]byte {
	return sha1.Sum(append(ch.Key[:], ch.Salt...))
}

// Equal reports whether both records say the same. Signatures are not compared: a key may sign the
// same thing in more than one way.
func (r Record) Equal(o Record) bool {
	return r.Key == o.Key && r.Salt == o.Salt && r.Seq == o.Seq && bytes.Equal(r.Value, o.Value)
}

// Verify checks everything about r that does not depend on time: that it belongs to ch, keeps to the
// limits and carries a valid signature. Errors wrap [ErrWrongChannel], [ErrTooLarge], [ErrSequence]
// or [ErrSignature].
func (r Record) Verify(ch snapshot.Channel) error {
	if r.Key != ch.Key {
		return fmt.Errorf("%w: signed with key %x, this channel has %x", ErrWrongChannel, r.Key, ch.Key)
	}
	if r.Salt != ch.Salt {
		return fmt.Errorf("%w: of salt %.80q, want %.80q", ErrWrongChannel, r.Salt, ch.Salt)
	}
	if err := r.checkLimits(); err != nil {
		return err
	}
	if !ed25519.Verify(r.Key[:], r.signed(), r.Sig[:]) {
		return fmt.Errorf("%w: seq %d was not signed by the channel's key", ErrSignature, r.Seq)
	}
	return nil
}

// CheckTime fails with [ErrFuture] when r claims to be signed more than [MaxAhead] after now.
func (r Record) CheckTime(now time.Time) error {
	if ahead := r.Seq - now.UnixMilli(); ahead > MaxAhead.Milliseconds() {
		return fmt.Errorf("%w: seq %d is %d minutes ahead of this machine's clock, at most %d are accepted; check both clocks",
			ErrFuture, r.Seq, ahead/time.Minute.Milliseconds(), int(MaxAhead.Minutes()))
	}
	return nil
}

func (r Record) checkLimits() error {
	switch {
	case len(r.Value) > MaxValueSize:
		return fmt.Errorf("%w: the value has %d bytes, at most %d are allowed", ErrTooLarge, len(r.Value), MaxValueSize)
	case len(r.Salt) > snapshot.MaxSaltLength:
		return fmt.Errorf("%w: the salt has %d bytes, at most %d are allowed", ErrTooLarge, len(r.Salt), snapshot.MaxSaltLength)
	case r.Seq <= 0:
		return fmt.Errorf("%w: %d", ErrSequence, r.Seq)
	}
	return nil
}

// signed is the buffer that BEP 44 signs: the entries salt, seq and v as they stand in a bencoded
// dictionary, without its delimiters. An empty salt is left out.
func (r Record) signed() []byte {
	b := make([]byte, 0, len(r.Salt)+len(r.Value)+48)
	if r.Salt != "" {
		b = appendBytes(append(b, "4:salt"...), r.Salt)
	}
	b = appendInt(append(b, "3:seq"...), r.Seq)
	return append(append(b, "1:v"...), r.Value...)
}

// Encode is the record as it lies in buckets and is served over HTTP: the bencoded dictionary of
// k, salt, seq, sig and v. Equal records with equal signatures have equal bytes.
func (r Record) Encode() []byte {
	b := make([]byte, 0, len(r.Salt)+len(r.Value)+192)
	b = appendBytes(append(b, "d1:k"...), r.Key[:])
	if r.Salt != "" {
		b = appendBytes(append(b, "4:salt"...), r.Salt)
	}
	b = appendInt(append(b, "3:seq"...), r.Seq)
	b = appendBytes(append(b, "3:sig"...), r.Sig[:])
	b = append(append(b, "1:v"...), r.Value...)
	return append(b, 'e')
}

// ParseRecord reads what [Record.Encode] wrote and nothing else: no other keys, no other order. It
// does not check the signature. Errors wrap [ErrMalformed] or [ErrTooLarge].
func ParseRecord(b []byte) (Record, error) {
	if len(b) > MaxRecordSize {
		return Record{}, fmt.Errorf("parse pointer: %w: %d bytes, at most %d are read", ErrTooLarge, len(b), MaxRecordSize)
	}
	var r Record
	c := cursor{rest: b}
	if err := c.dict(func(key string) error { return r.field(&c, key) }); err != nil {
		return Record{}, fmt.Errorf("parse pointer: %w: %w", ErrMalformed, err)
	}
	if !bytes.Equal(r.Encode(), b) {
		return Record{}, fmt.Errorf("parse pointer: %w: a key is missing, or bytes follow the end", ErrMalformed)
	}
	if err := r.checkLimits(); err != nil {
		return Record{}, fmt.Errorf("parse pointer: %w", err)
	}
	return r, nil
}

func (r *Record) field(c *cursor, key string) (err error) {
	var b []byte
	switch key {
	case "k":
		err = c.fixed(r.Key[:])
	case "salt":
		b, err = c.bytes()
		r.Salt = string(b)
	case "seq":
		r.Seq, err = c.integer()
	case "sig":
		err = c.fixed(r.Sig[:])
	case "v":
		b, err = c.value()
		r.Value = bytes.Clone(b)
	default:
		err = errors.New("does not belong into a record")
	}
	return err
}
