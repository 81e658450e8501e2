package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"snapswarm/common/address"
	"snapswarm/common/answer"
	"snapswarm/common/snapshot"
)

// MaxPointerSize is the limit of a pointer's bytes before they are read; a record of BEP 44 with a value of 1000 bytes
// stays well below.
const MaxPointerSize = 2 << 10

// Reader reads a public bucket, or a gateway, over plain HTTP. It trusts nothing that it reads: whoever uses the bytes
// checks signature and hashes. It does not retry. Safe for concurrent use.
//
// Errors: an answer with another status than expected is a [*StatusError]; a failed connection wraps [ErrUnreachable];
// an address that the client's policy refuses wraps [address.ErrNotPublic] or [ErrRefusedRedirect]; a body above its limit
// wraps [ErrTooLarge].
type Reader struct {
	base   *url.URL
	client *http.Client
}

// NewReader makes a reader for the address below which the path space lies. The client comes from [NewHTTPClient].
func NewReader(base string, client *http.Client) (*Reader, error) {
	u, err := ParseBase(base)
	if err != nil {
		return nil, err
	}
	return &Reader{base: u, client: client}, nil
}

// MaxBaseURL is the longest base address; a pointer holds no longer one.
const MaxBaseURL = 512

// ParseBase reads the public address of a bucket: http or https, a host, perhaps a path, nothing else. A slash at its
// end does not matter. The error wraps [ErrBadConfig].
func ParseBase(s string) (*url.URL, error) {
	if len(s) > MaxBaseURL {
		return nil, fmt.Errorf("%w: base address of %d bytes, limit %d", ErrBadConfig, len(s), MaxBaseURL)
	}
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Opaque != "":
		return nil, fmt.Errorf("%w: base address %q: want http://host/path or https://host/path", ErrBadConfig, clip(s))
	case u.User != nil, u.RawQuery != "", u.ForceQuery, strings.Contains(s, "#"):
		return nil, fmt.Errorf("%w: base address on %q: want no password, query or fragment", ErrBadConfig, clip(u.Host))
	}
	path := strings.Trim(u.Path, "/")
	if path != "" && CheckKey(path) != nil {
		return nil, fmt.Errorf("%w: base address %q: path", ErrBadConfig, clip(s))
	}
	base := &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}
	if path != "" {
		base.Path = "/" + path
	}
	return base, nil
}

// String is the base address, without a slash at its end.
func (r *Reader) String() string { return r.base.String() }

// URL is the address of an object, for example for a torrent's url-list.
func (r *Reader) URL(key string) string { return r.address(key).String() }

// address escapes more than it must: S3 takes a bare plus sign for a space.
func (r *Reader) address(key string) *url.URL {
	u := *r.base
	u.RawPath = u.EscapedPath() + "/" + strings.ReplaceAll((&url.URL{Path: key}).EscapedPath(), "+", "%2B")
	u.Path += "/" + key
	return &u
}

// Pointer reads the channel's signed record, unverified.
func (r *Reader) Pointer(ctx context.Context, salt string) ([]byte, error) {
	return r.Get(ctx, PointerKey(salt), MaxPointerSize)
}

// Torrent reads a torrent by its v1 info-hash, unverified.
func (r *Reader) Torrent(ctx context.Context, ih snapshot.InfoHash) ([]byte, error) {
	return r.Get(ctx, InfoHashKey(ih), snapshot.MaxTorrentSize)
}

// Get reads a whole object of at most limit bytes.
func (r *Reader) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	resp, err := r.do(ctx, http.MethodGet, key, nil)
	if err != nil {
		return nil, fmt.Errorf("get %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %w", NewStatusError(resp))
	}
	if resp.ContentLength > limit {
		return nil, fmt.Errorf("get %s: %w: %d bytes, limit %d", r.URL(key), ErrTooLarge, resp.ContentLength, limit)
	}
	body, err := readLimited(resp.Body, limit)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", r.URL(key), unreachable(ctx, err))
	}
	return body, nil
}

// Stat asks for an object's size and kind without its bytes. A server that does not name the size is an error.
func (r *Reader) Stat(ctx context.Context, key string) (Info, error) {
	resp, err := r.do(ctx, http.MethodHead, key, nil)
	if err != nil {
		return Info{}, fmt.Errorf("stat %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Info{}, fmt.Errorf("stat %w", NewStatusError(resp))
	}
	if resp.ContentLength < 0 {
		return Info{}, fmt.Errorf("stat %s: no Content-Length in the answer", r.URL(key))
	}
	modified, _ := http.ParseTime(resp.Header.Get("Last-Modified")) // the zero time means unknown
	return Info{
		Key: key, Size: resp.ContentLength, Modified: modified,
		ETag: strings.Trim(strings.TrimPrefix(resp.Header.Get("ETag"), "W/"), `"`),
	}, nil
}

// ErrNoRanges is wrapped by errors about servers that answer a range request with something else.
var ErrNoRanges = errors.New("server does not serve ranges")

// Range opens length bytes from offset on; length must be positive. The body ends after them at the latest; fewer are
// an io.ErrUnexpectedEOF. total is the whole object's size according to the server, or -1. The caller closes the body.
func (r *Reader) Range(ctx context.Context, key string, offset, length int64) (body io.ReadCloser, total int64, err error) {
	last := offset + length - 1
	header := http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", offset, last)}}
	resp, err := r.do(ctx, http.MethodGet, key, header)
	if err != nil {
		return nil, 0, fmt.Errorf("get %w", err)
	}
	total, err = checkRange(resp, offset, last)
	if err != nil {
		_ = resp.Body.Close()
		return nil, 0, fmt.Errorf("get %w", err)
	}
	return &exactBody{body: resp.Body, left: length}, total, nil
}

func checkRange(resp *http.Response, first, last int64) (total int64, err error) {
	switch resp.StatusCode {
	case http.StatusPartialContent:
	case http.StatusOK:
		return 0, fmt.Errorf("%s: %w", cleanURL(resp.Request.URL), ErrNoRanges)
	default:
		return 0, NewStatusError(resp)
	}
	got, err := answer.ParseContentRange(resp.Header.Get("Content-Range"))
	if err != nil || got.First != first || got.Last != last {
		return 0, fmt.Errorf("%s: %w: Content-Range %q for bytes %d-%d", cleanURL(resp.Request.URL), ErrNoRanges,
			clip(resp.Header.Get("Content-Range")), first, last)
	}
	return got.Total, nil
}

// do sends a request. Its errors begin with the address.
func (r *Reader) do(ctx context.Context, method, key string, header http.Header) (*http.Response, error) {
	if err := CheckKey(key); err != nil {
		return nil, fmt.Errorf("from %s: %w", r, err)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL(key), nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.URL(key), err)
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.URL(key), unreachable(ctx, bare(err)))
	}
	return resp, nil
}

// bare takes off the wrapper that names method and address a second time.
func bare(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// unreachable marks failures of the connection, and leaves the caller's own and our refusals as they are.
func unreachable(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, address.ErrNotPublic), errors.Is(err, ErrRefusedRedirect), errors.Is(err, ErrTooLarge),
		errors.Is(err, ErrBadConfig), errors.Is(err, ErrUnreachable):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// exactBody yields exactly the promised bytes.
type exactBody struct {
	body io.ReadCloser
	left int64
}

func (b *exactBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.body.Read(p)
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (b *exactBody) Close() error { return b.body.Close() }
