package pointer

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"snapswarm/common/snapshot"
)

const (
	// MaxBaseURL is the longest base URL in bytes.
	MaxBaseURL = 512
	// MaxPatches is how many patches a pointer may name.
	MaxPatches = 5
)

// maxUnix is the last second of the year 9999, beyond which times have no common notation.
const maxUnix = 253402300799

// Pointer is what a record says: which snapshot is newest, and where to begin looking for it.
type Pointer struct {
	// InfoHash is the v1 info-hash of the snapshot's torrent. Another publisher's record may have a v2
	// info-hash as its whole value: then these are the first 20 bytes of it, by which peers, trackers and
	// the DHT know the torrent (BEP 52). See [Pointer.Names].
	InfoHash snapshot.InfoHash
	// InfoHashV2 is the v2 info-hash (BEP 52) of a hybrid or v2 torrent; nil when there is none.
	InfoHashV2 *[32]byte
	// InfoSHA256 is the SHA-256 of the info dictionary, because SHA-1 is not trusted alone; nil when
	// the publisher does not say.
	InfoSHA256 *[32]byte
	// Created is when the snapshot was made, to the second. A renewal does not move it. Zero: unknown.
	Created time.Time
	// Expires is when the publisher should have been heard of again, to the second. Zero: unknown.
	Expires time.Time
	// Height is the block height of the snapshot; 0 means none.
	Height uint64
	// BaseURL is the public address of the bucket, above the salt; empty means none. It comes from
	// others: dial it only by a client that refuses private addresses.
	BaseURL string
	// Patches lead from older snapshots to this one, at most [MaxPatches].
	Patches []Patch
}

// Patch names the torrent of a patch and the snapshot that it applies to.
type Patch struct{ From, Patch snapshot.InfoHash }

// Stale reports whether the pointer's expiry is known and has passed.
func (p Pointer) Stale(now time.Time) bool { return !p.Expires.IsZero() && now.After(p.Expires) }

// Names reports whether t is the torrent that p points to: by each hash that p has.
func (p Pointer) Names(t *snapshot.Torrent) bool {
	for _, sum := range []*[32]byte{p.InfoSHA256, p.InfoHashV2} {
		if sum != nil && *sum != t.InfoSHA256 {
			return false
		}
	}
	return !p.InfoHash.IsZero() && (p.InfoHash == t.InfoHash || p.InfoHash == t.ShortV2())
}

// Pointer reads the record's value. Beside the dictionary of FORMAT.md it accepts any BEP 46 value
// (a dictionary with ih) and a raw info-hash of 20 or 32 bytes; their expiry is unknown. Keys that
// it does not know are ignored. Errors wrap [ErrMalformed] or [ErrTooLarge].
func (r Record) Pointer() (Pointer, error) {
	p, err := decodePointer(r.Value)
	if err != nil {
		return Pointer{}, fmt.Errorf("read pointer: %w: %w", ErrMalformed, err)
	}
	return p, nil
}

func decodePointer(value []byte) (p Pointer, err error) {
	if len(value) > MaxValueSize {
		return p, fmt.Errorf("%w: the value has %d bytes, at most %d are allowed", ErrTooLarge, len(value), MaxValueSize)
	}
	c := cursor{rest: value}
	if len(value) > 0 && value[0] == 'd' {
		err = c.dict(func(key string) error { return p.field(&c, key) })
	} else {
		err = p.raw(&c)
	}
	if err == nil && p.InfoHash.IsZero() {
		err = errors.New("no info-hash (key ih)")
	}
	if err != nil {
		return Pointer{}, err
	}
	return p, c.done()
}

// raw reads a value that is nothing but an info-hash.
func (p *Pointer) raw(c *cursor) error {
	b, err := c.bytes()
	if err != nil {
		return err
	}
	switch len(b) {
	case len(p.InfoHash):
		p.InfoHash = snapshot.InfoHash(b)
	case 32:
		p.InfoHashV2 = (*[32]byte)(append([]byte(nil), b...))
		copy(p.InfoHash[:], b)
	default:
		return fmt.Errorf("a value of %d bytes is no info-hash", len(b))
	}
	return nil
}

func (p *Pointer) field(c *cursor, key string) (err error) {
	switch key {
	case "ih":
		err = c.fixed(p.InfoHash[:])
	case "ih2":
		p.InfoHashV2 = new([32]byte)
		err = c.fixed(p.InfoHashV2[:])
	case "is":
		p.InfoSHA256 = new([32]byte)
		err = c.fixed(p.InfoSHA256[:])
	case "c":
		p.Created, err = c.unix()
	case "x":
		p.Expires, err = c.unix()
	case "h":
		p.Height, err = c.height()
	case "u":
		p.BaseURL, err = c.baseURL()
	case "p":
		p.Patches, err = c.patches()
	default:
		_, err = c.value()
	}
	return err
}

func (c *cursor) unix() (time.Time, error) {
	n, err := c.integer()
	if err != nil {
		return time.Time{}, err
	}
	if n <= 0 || n > maxUnix {
		return time.Time{}, fmt.Errorf("%d is no time", n)
	}
	return time.Unix(n, 0).UTC(), nil
}

func (c *cursor) height() (uint64, error) {
	n, err := c.integer()
	if err != nil {
		return 0, err
	}
	if n < 0 {
		return 0, fmt.Errorf("%d is no height", n)
	}
	return uint64(n), nil
}

func (c *cursor) baseURL() (string, error) {
	b, err := c.bytes()
	if err != nil {
		return "", err
	}
	return string(b), checkBaseURL(string(b))
}

func (c *cursor) patches() ([]Patch, error) {
	const size = 2 * len(snapshot.InfoHash{})
	b, err := c.bytes()
	if err != nil {
		return nil, err
	}
	if len(b)%size != 0 || len(b) > MaxPatches*size {
		return nil, fmt.Errorf("%d bytes are not up to %d pairs of info-hashes", len(b), MaxPatches)
	}
	var patches []Patch
	for ; len(b) > 0; b = b[size:] {
		patches = append(patches, Patch{From: snapshot.InfoHash(b[:size/2]), Patch: snapshot.InfoHash(b[size/2 : size])})
	}
	return patches, nil
}

// checkBaseURL accepts an absolute http or https URL to which a path can be appended.
func checkBaseURL(s string) error {
	if len(s) > MaxBaseURL {
		return fmt.Errorf("%w: the base URL has %d bytes, at most %d are allowed", ErrTooLarge, len(s), MaxBaseURL)
	}
	u, err := url.Parse(s)
	if err != nil {
		return fmt.Errorf("base URL %.80q: %w", s, errors.Unwrap(err))
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("base URL %.80q: want http://host/… or https://host/…", s)
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return fmt.Errorf("base URL of %q: want no user, query or fragment", u.Hostname())
	}
	return nil
}

// encode is the value v of a record, in the form that FORMAT.md describes.
func (p Pointer) encode() ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	b := []byte{'d'}
	if !p.Created.IsZero() {
		b = appendInt(append(b, "1:c"...), p.Created.Unix())
	}
	if p.Height > 0 {
		b = appendInt(append(b, "1:h"...), int64(p.Height))
	}
	b = appendBytes(append(b, "2:ih"...), p.InfoHash[:])
	if p.InfoHashV2 != nil {
		b = appendBytes(append(b, "3:ih2"...), p.InfoHashV2[:])
	}
	if p.InfoSHA256 != nil {
		b = appendBytes(append(b, "2:is"...), p.InfoSHA256[:])
	}
	if len(p.Patches) > 0 {
		b = appendBytes(append(b, "1:p"...), p.pairs())
	}
	if p.BaseURL != "" {
		b = appendBytes(append(b, "1:u"...), p.BaseURL)
	}
	if !p.Expires.IsZero() {
		b = appendInt(append(b, "1:x"...), p.Expires.Unix())
	}
	return append(b, 'e'), nil
}

func (p Pointer) check() error {
	switch {
	case p.InfoHash.IsZero():
		return errors.New("no info-hash")
	case !p.Created.IsZero() && !p.Expires.IsZero() && p.Expires.Before(p.Created):
		return fmt.Errorf("expires %s, before it was created %s", p.Expires.UTC(), p.Created.UTC())
	case outside(p.Created) || outside(p.Expires):
		return fmt.Errorf("created %s or expires %s is no time after 1970", p.Created.UTC(), p.Expires.UTC())
	case int64(p.Height) < 0:
		return fmt.Errorf("height %d is too large", p.Height)
	case len(p.Patches) > MaxPatches:
		return fmt.Errorf("%d patches, at most %d are allowed", len(p.Patches), MaxPatches)
	case p.BaseURL != "":
		return checkBaseURL(p.BaseURL)
	}
	return nil
}

func outside(t time.Time) bool { return !t.IsZero() && (t.Unix() <= 0 || t.Unix() > maxUnix) }

func (p Pointer) pairs() []byte {
	var b []byte
	for _, patch := range p.Patches {
		b = append(append(b, patch.From[:]...), patch.Patch[:]...)
	}
	return b
}
