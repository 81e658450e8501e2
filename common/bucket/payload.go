package bucket

import (
	"context"
	"crypto/md5" //nolint:gosec // S3 makes ETags of it
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// span is a part of a source.
type span struct {
	number int // from 1
	offset int64
	size   int64
}

// payload is a part whose hash is known; the request that carries it is signed over the hash.
type payload struct {
	src io.ReaderAt
	at  span
	sum [sha256.Size]byte
	md5 string // in hex, empty unless asked for
}

func (p payload) hex() string    { return hex.EncodeToString(p.sum[:]) }
func (p payload) base64() string { return base64.StdEncoding.EncodeToString(p.sum[:]) }

// errChanged is the reason when the same part has two hashes.
var errChanged = errors.New("it changes while it is uploaded")

// verify finds out whether a refused checksum was the source's fault: nil if it still has the same hash.
func (p payload) verify(ctx context.Context) error {
	again, err := hashPayload(ctx, p.src, p.at, false)
	if err == nil && again.sum != p.sum {
		return sourceError{errChanged}
	}
	return err
}

// hashPayload reads a part once before it is sent, usually from the page cache.
func hashPayload(ctx context.Context, src io.ReaderAt, at span, withMD5 bool) (payload, error) {
	h, old := sha256.New(), md5.New()
	var w io.Writer = h
	if withMD5 {
		w = io.MultiWriter(h, old)
	}
	r := &ctxReader{ctx: ctx, r: io.NewSectionReader(src, at.offset, at.size)}
	n, err := io.CopyBuffer(w, r, make([]byte, 256<<10))
	switch {
	case ctx.Err() != nil:
		return payload{}, context.Cause(ctx)
	case err != nil:
		return payload{}, sourceError{err}
	case n != at.size:
		return payload{}, sourceError{fmt.Errorf("%d bytes at %d are missing: %w", at.size-n, at.offset+n, io.ErrUnexpectedEOF)}
	}
	p := payload{src: src, at: at, sum: [sha256.Size]byte(h.Sum(nil))}
	if withMD5 {
		p.md5 = hex.EncodeToString(old.Sum(nil))
	}
	return p, nil
}

// sourceError is a failure to read what is to be uploaded.
type sourceError struct{ err error }

func (e sourceError) Error() string { return "read source: " + e.err.Error() }
func (e sourceError) Unwrap() error { return e.err }

// callersOwn finds errors that no store is to blame for: the caller ended it, or what was to be uploaded could not be read.
// It reports true for nil, too.
func callersOwn(ctx context.Context, op, key string, err error) (own error, ok bool) {
	var source sourceError
	switch {
	case err == nil:
		return nil, true
	case ctx.Err() != nil:
		return context.Cause(ctx), true
	case errors.As(err, &source):
		return fmt.Errorf("%s %s: %w", op, key, err), true
	}
	return nil, false
}

// ctxReader ends a long copy when the context ends.
type ctxReader struct {
	ctx context.Context //nolint:containedctx // lives as long as one copy
	r   io.Reader
}

func (c *ctxReader) Read(b []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(b)
}
