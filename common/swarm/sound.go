package swarm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// shallow is what everything on the way to an origin can be trusted with: offsets in 31 bits.
const shallow = 1<<31 - 1

// depths are where servers and proxies give up: 32 bits with and without sign, and 5 GiB, a usual limit of object storages and of
// caches before them. Deepest first.
var depths = [...]int64{5 << 30, 1 << 32, shallow}

// sound finds out how many bytes of the file, from its beginning, url serves ranges of. It asks for single bytes, the file's last one
// first, so that nobody relies for days on an origin that cannot give the end. The error is a *fetchError.
func (f *fetcher) sound(ctx context.Context, url string) (int64, error) {
	length := f.torrent.Length
	deepest := f.touch(ctx, url, length-1)
	switch {
	case deepest == nil:
		return length, nil
	case !deepest.tellsDepth():
		return 0, deepest
	}
	at := slices.IndexFunc(depths[:], func(d int64) bool { return d < length })
	for ; at >= 0 && at < len(depths); at++ {
		err := f.touch(ctx, url, depths[at]-1)
		if err == nil {
			return depths[at], nil
		}
		if !err.tellsDepth() {
			return 0, err
		}
	}
	return 0, deepest // it serves no range at all
}

// tellsDepth reports whether a failure may be due to where the range was.
func (e *fetchError) tellsDepth() bool {
	switch e.result {
	case fetchIgnoresRange, fetchWrongBytes, fetchTruncated, fetchServerError, fetchUnsatisfied:
		return true
	}
	return false
}

// touch asks for the byte at off.
func (f *fetcher) touch(ctx context.Context, url string, off int64) *fetchError {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(f.idle, func() { cancel(errStalled) })
	defer watch.Stop()
	body, err := f.request(ctx, url, off, off)
	if err == nil {
		defer body.Close()
		_, err = io.ReadFull(body, make([]byte, 1))
	}
	if err == nil {
		return nil
	}
	e := f.explain(ctx, url, err)
	e.err = fmt.Errorf("%w, asked for byte %d", e.err, off)
	return e
}

var errShallow = errors.New("it serves no ranges so far into the file")
