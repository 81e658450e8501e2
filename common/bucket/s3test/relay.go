package s3test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// Relay stands before a server, counts what is put into it, and breaks requests on demand. Clients that sign for its
// address are understood, because the server is asked under it.
type Relay struct {
	// Endpoint is http://host:port of the relay.
	Endpoint string

	sent   atomic.Int64
	puts   atomic.Int64
	broken atomic.Pointer[func(*http.Request) bool]
}

// NewRelay starts a relay for a test.
func NewRelay(tb testing.TB, to *Server) *Relay {
	tb.Helper()
	target, err := url.Parse(to.Endpoint)
	if err != nil {
		tb.Fatal(err)
	}
	r := &Relay{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Host = p.In.Host // which is signed
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // clients that go away are what it is for
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if broken := r.broken.Load(); broken != nil && (*broken)(req) {
			panic(http.ErrAbortHandler)
		}
		if req.Method == http.MethodPut {
			r.puts.Add(1)
			req.Body = &counted{req.Body, &r.sent}
		}
		proxy.ServeHTTP(w, req)
	}))
	tb.Cleanup(server.Close)
	r.Endpoint = server.URL
	return r
}

// Sent is how many bytes of bodies were put.
func (r *Relay) Sent() int64 { return r.sent.Load() }

// Puts is in how many requests.
func (r *Relay) Puts() int64 { return r.puts.Load() }

// Break cuts the connections of the requests for which broken is true. It may wait, and is called by several goroutines.
func (r *Relay) Break(broken func(*http.Request) bool) { r.broken.Store(&broken) }

// Mend ends what Break began, and counts from zero.
func (r *Relay) Mend() {
	r.broken.Store(nil)
	r.sent.Store(0)
	r.puts.Store(0)
}

// counted is a body whose bytes are counted.
type counted struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}
