package pointer

import (
	"errors"
	"fmt"
	"strconv"
)

// maxDepth bounds how deep lists and dictionaries of foreign bytes may nest.
const maxDepth = 16

var errTruncated = errors.New("ends too early")

// cursor reads canonical bencode (BEP 3): minimal integers and lengths, keys of a dictionary sorted
// and unique. It never allocates more than it was given: strings are slices of its input.
type cursor struct{ rest []byte }

// dict reads a dictionary and hands each key to field, which must read the value.
func (c *cursor) dict(field func(key string) error) error {
	if err := c.expect('d'); err != nil {
		return err
	}
	last := ""
	for first := true; !c.end(); first = false {
		raw, err := c.bytes()
		if err != nil {
			return fmt.Errorf("dictionary key: %w", err)
		}
		key := string(raw)
		if !first && key <= last {
			return fmt.Errorf("dictionary key %q is not in order", key)
		}
		if err := field(key); err != nil {
			return fmt.Errorf("key %q: %w", key, err)
		}
		last = key
	}
	return c.expect('e')
}

// bytes reads a byte string.
func (c *cursor) bytes() ([]byte, error) {
	n, err := c.digits(':')
	if err != nil {
		return nil, fmt.Errorf("byte string: %w", err)
	}
	if n < 0 || n > int64(len(c.rest)) {
		return nil, fmt.Errorf("byte string of %d bytes: %w", n, errTruncated)
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b, nil
}

// fixed reads a byte string of exactly len(dst) bytes.
func (c *cursor) fixed(dst []byte) error {
	b, err := c.bytes()
	if err != nil {
		return err
	}
	if len(b) != len(dst) {
		return fmt.Errorf("has %d bytes, want %d", len(b), len(dst))
	}
	copy(dst, b)
	return nil
}

// integer reads an integer of at most 64 bits.
func (c *cursor) integer() (int64, error) {
	if err := c.expect('i'); err != nil {
		return 0, err
	}
	return c.digits('e')
}

// digits reads a canonical decimal number up to and including stop.
func (c *cursor) digits(stop byte) (int64, error) {
	const longest = len("-9223372036854775808")
	for i := 0; i < len(c.rest) && i <= longest; i++ {
		if c.rest[i] != stop {
			continue
		}
		text := string(c.rest[:i])
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || strconv.FormatInt(n, 10) != text {
			return 0, fmt.Errorf("%q is no number", text)
		}
		c.rest = c.rest[i+1:]
		return n, nil
	}
	return 0, errors.New("number without an end")
}

// value reads any one value and returns its encoding.
func (c *cursor) value() ([]byte, error) {
	begin := c.rest
	if err := c.skip(maxDepth); err != nil {
		return nil, err
	}
	return begin[:len(begin)-len(c.rest)], nil
}

func (c *cursor) skip(depth int) error {
	if depth == 0 {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	if len(c.rest) == 0 {
		return errTruncated
	}
	switch c.rest[0] {
	case 'i':
		_, err := c.integer()
		return err
	case 'l':
		return c.skipList(depth)
	case 'd':
		return c.dict(func(string) error { return c.skip(depth - 1) })
	default:
		_, err := c.bytes()
		return err
	}
}

func (c *cursor) skipList(depth int) error {
	if err := c.expect('l'); err != nil {
		return err
	}
	for !c.end() {
		if err := c.skip(depth - 1); err != nil {
			return err
		}
	}
	return c.expect('e')
}

// end reports whether the current list or dictionary ends here. Truncated input does not end: the
// next read says so.
func (c *cursor) end() bool { return len(c.rest) > 0 && c.rest[0] == 'e' }

func (c *cursor) expect(b byte) error {
	if len(c.rest) == 0 {
		return errTruncated
	}
	if c.rest[0] != b {
		return fmt.Errorf("found %q where %q belongs", c.rest[0], b)
	}
	c.rest = c.rest[1:]
	return nil
}

// done fails when bytes are left.
func (c *cursor) done() error {
	if len(c.rest) > 0 {
		return fmt.Errorf("%d bytes after the end", len(c.rest))
	}
	return nil
}

// appendBytes appends a byte string.
func appendBytes[T ~string | ~[]byte](dst []byte, s T) []byte {
	dst = strconv.AppendInt(dst, int64(len(s)), 10)
	dst = append(dst, ':')
	return append(dst, s...)
}

// appendInt appends an integer.
func appendInt(dst []byte, n int64) []byte {
	dst = append(dst, 'i')
	dst = strconv.AppendInt(dst, n, 10)
	return append(dst, 'e')
}
