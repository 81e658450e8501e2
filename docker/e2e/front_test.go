//go:build e2e

package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"

	"snapswarm/docker/stack"
)

// front is a web server before the storage that counts what it sends of archives.
type front struct {
	*httptest.Server
	sent atomic.Int64
}

// front makes everybody read the storage through it: give its env to producer and mirror.
func (w *world) front() *front {
	w.t.Helper()
	target, err := url.Parse(w.S3.Endpoint)
	w.ok(err)
	f := &front{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	f.Server = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".zst") {
			out = &counted{out, &f.sent}
		}
		proxy.ServeHTTP(out, r)
	}))
	w.t.Cleanup(f.Close)
	return f
}

// env names it as the storage's public address; name is the one of the setting.
func (f *front) env(w *world, name string) stack.Env {
	return stack.Env{name: f.URL + "/" + w.S3.Bucket}
}

// counted is a response whose bytes are counted.
type counted struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

// Unwrap lets the proxy flush.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }
