package bucket

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"
)

// parts are an object as it is cut for an upload. Each is hashed once, however often that is asked for: to be compared
// with what the server has, and to be sent. Different parts may be hashed at once.
type parts struct {
	body  io.ReaderAt
	size  int64
	spans []span
	loads []payload // of those that were hashed; a zero span means not yet
}

func newParts(body io.ReaderAt, size int64) *parts {
	spans := cut(size)
	return &parts{body: body, size: size, spans: spans, loads: make([]payload, len(spans))}
}

// load hashes part i, with its MD5 if asked for.
func (p *parts) load(ctx context.Context, i int, withMD5 bool) (payload, error) {
	if have := p.loads[i]; have.at.size > 0 && (have.md5 != "" || !withMD5) {
		return have, nil
	}
	load, err := hashPayload(ctx, p.body, p.spans[i], withMD5)
	if err == nil {
		p.loads[i] = load
	}
	return load, err
}

// each calls f for all parts, some at once, until one fails.
func (p *parts) each(ctx context.Context, parallel int, f func(ctx context.Context, i int) error) error {
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i := range p.spans {
		if inner.Err() != nil {
			break
		}
		g.Go(func() error { return f(inner, i) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx) // when it ended between two parts, some are missing
}

// checksum is what S3 calls the composite checksum: that of the parts' checksums, and their number. All must be hashed.
func (p *parts) checksum() string {
	h := sha256.New()
	for _, load := range p.loads {
		h.Write(load.sum[:])
	}
	return fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(h.Sum(nil)), len(p.loads))
}

// etag is the ETag that S3 gives the object when nothing is encrypted. All must be hashed with their MD5.
func (p *parts) etag() string {
	tags := make([]string, len(p.loads))
	for i, load := range p.loads {
		tags[i] = load.md5
	}
	return joinedETag(tags)
}
