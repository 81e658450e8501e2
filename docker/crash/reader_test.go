//go:build e2e && linux

package crash_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"
)

// httpPort is where the gateway serves.
const httpPort = "8080"

// fetch is the body of an answer with status 200, for what is small.
func fetch(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	resp, err := get(ctx, url)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, 1<<20))
}

// client takes little at once, so that answers are under way for some time.
var client = &http.Client{Transport: &http.Transport{ //nolint:gochecknoglobals // is never changed
	DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if tcp, ok := conn.(*net.TCPConn); ok {
			err = tcp.SetReadBuffer(64 << 10)
		}
		return conn, err
	},
}}

func get(ctx context.Context, url string, header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return client.Do(req)
}

// reader is somebody who reads from the gateway without end.
type reader struct {
	*world
	from *node
	rng  *rand.Rand
}

// readAll starts the readers: of whole files by the name that changes, of ranges, and of one file over many connections.
func (w *world) readAll(ctx context.Context, from *node, seed uint64) {
	for i, read := range []func(*reader, context.Context) error{(*reader).latest, (*reader).ranges, (*reader).resumed} {
		r := &reader{world: w, from: from, rng: rand.New(rand.NewPCG(seed, uint64(i)))}
		w.watch(ctx, func(ctx context.Context) error { return read(r, ctx) })
	}
}

// served is the address of a file at the gateway.
func (w *world) served(n *node, path ...string) string {
	return "http://" + net.JoinHostPort(n.host, httpPort) + "/" + w.Channel.Salt + "/" + strings.Join(path, "/")
}

// current is the newest snapshot that the storage's pointer named, nil before there is one.
func (w *world) current() *book {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.newest
}

// latest reads the newest file as curl would.
func (r *reader) latest(ctx context.Context) error {
	b := r.current()
	if b == nil {
		return nil
	}
	resp, err := get(ctx, r.served(r.from, "latest", b.file))
	if err != nil {
		return nil //nolint:nilerr // it is being killed
	}
	_, err = r.take(ctx, resp, nil, 0)
	return err
}

// ranges reads a part of the newest file somewhere.
func (r *reader) ranges(ctx context.Context) error {
	b := r.current()
	if b == nil {
		return nil
	}
	first := r.rng.Int64N(int64(len(b.content)))
	last := first + r.rng.Int64N(int64(len(b.content))-first)
	resp, err := get(ctx, r.served(r.from, string(b.version), b.file), "Range", fmt.Sprintf("bytes=%d-%d", first, last))
	if err != nil {
		return nil //nolint:nilerr // it is being killed
	}
	_, err = r.take(ctx, resp, b, first)
	return err
}

// attempts bounds how often a reader goes on with one file.
const attempts = 100

// resumed reads one version, however often that breaks off, and compares the whole in the end.
func (r *reader) resumed(ctx context.Context) error {
	b := r.current()
	if b == nil {
		return nil
	}
	var whole bytes.Buffer
	for range attempts {
		resp, err := get(ctx, r.served(r.from, string(b.version), b.file), "Range", fmt.Sprintf("bytes=%d-", whole.Len()), "If-Range", b.tag)
		if err != nil {
			if !r.pause(ctx) {
				return nil
			}
			continue
		}
		if resp.StatusCode == http.StatusNotFound {
			_ = resp.Body.Close()
			return nil // a newer one has come
		}
		got, err := r.take(ctx, resp, b, int64(whole.Len()))
		if err != nil {
			return err
		}
		whole.Write(got)
		if whole.Len() == len(b.content) {
			r.count("downloads that were resumed until they were whole", 1)
			return r.history.bytesSeen("a download over many connections", &b.archive, 0, whole.Bytes())
		}
		r.count("downloads broken off and resumed", 1)
	}
	return nil
}

func (r *reader) pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(lookEvery):
		return true
	}
}

// take reads an answer and compares it. want and offset are what was asked for; want is nil if that was the newest. What it got is
// right even where it broke off.
func (r *reader) take(ctx context.Context, resp *http.Response, want *book, offset int64) ([]byte, error) {
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		offset = 0
	case http.StatusPartialContent:
		var first, last, size int64
		if _, err := fmt.Sscanf(resp.Header.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size); err != nil || first != offset {
			return nil, fmt.Errorf("gateway: Content-Range %q for bytes from %d on", resp.Header.Get("Content-Range"), offset)
		}
	case http.StatusNotFound, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusRequestedRangeNotSatisfiable:
		r.count(fmt.Sprintf("answers %d", resp.StatusCode), 1)
		return nil, nil
	default:
		return nil, fmt.Errorf("gateway: GET %s: %s", resp.Request.URL, resp.Status)
	}
	b, err := r.answered(ctx, resp)
	if err != nil {
		return nil, err
	}
	if want != nil && b != want {
		return nil, fmt.Errorf("gateway: asked for %s, it serves %s", want.version, b.version)
	}
	got, broken := r.listen(resp.Body)
	if ctx.Err() != nil {
		return nil, nil
	}
	r.count("bytes of answers compared", int64(len(got)))
	if broken != nil {
		r.count("answers broken off", 1)
	} else {
		r.count("answers that were whole", 1)
	}
	promised := resp.ContentLength
	if promised < 0 || resp.StatusCode == http.StatusOK && promised != int64(len(b.content)) {
		return nil, fmt.Errorf("gateway: %d bytes promised of %s, which has %d", promised, b.version, len(b.content))
	}
	return got, errors.Join(
		r.history.bytesSeen("gateway", &b.archive, offset, got),
		r.history.transferEnded("gateway", &b.archive, promised, int64(len(got)), broken != nil),
	)
}

// listen reads a body, slowly enough that some are under way at any time.
func (r *reader) listen(body io.Reader) ([]byte, error) {
	var got bytes.Buffer
	for {
		n, err := io.CopyN(&got, body, 128<<10)
		if n > 0 {
			r.events.saw(r.from, "an answer", false)
		}
		if errors.Is(err, io.EOF) {
			return got.Bytes(), nil
		}
		if err != nil {
			return got.Bytes(), err
		}
		time.Sleep(time.Duration(r.rng.IntN(20)) * time.Millisecond)
	}
}

// answered is the snapshot that an answer says it is of. It must be one that was published.
func (r *reader) answered(ctx context.Context, resp *http.Response) (*book, error) {
	tag := resp.Header.Get("ETag")
	if b := r.library.find(func(b *book) bool { return b.tag == tag }); b != nil {
		return b, nil
	}
	location := resp.Header.Get("Content-Location")
	if location == "" {
		location = resp.Request.URL.Path
	}
	_, key, _ := strings.Cut(location, "/"+r.Channel.Salt+"/")
	b, err := r.library.lookup(ctx, r.Channel.Salt+"/"+key)
	if err != nil {
		return nil, fmt.Errorf("gateway: serves %s with tag %s, which nobody can get: %w", location, tag, err)
	}
	if b.tag != tag {
		return nil, fmt.Errorf("gateway: serves %s with tag %s, want %s", location, tag, b.tag)
	}
	return b, nil
}
