package swarm_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

// originServer serves one file over HTTP with ranges, and misbehaves on request.
type originServer struct {
	URL      string
	content  []byte
	limit    *rate.Limiter // of all bodies together; nil: unlimited
	stopAt   int64         // bytes of bodies after which nothing more is sent; 0: none
	sent     atomic.Int64  // bytes of bodies
	requests atomic.Int64

	mu     sync.Mutex
	faults []http.HandlerFunc // one per request, in turn
	always http.HandlerFunc   // instead of the content
	ranges map[string]int
}

// newOrigin starts a server; behave changes it before that.
func newOrigin(t testing.TB, content []byte, behave ...func(*originServer)) *originServer {
	o := &originServer{content: content, ranges: make(map[string]int)}
	for _, b := range behave {
		b(o)
	}
	server := httptest.NewServer(o)
	o.URL = server.URL + "/data.zst"
	t.Cleanup(server.Close)
	return o
}

// limited sends at most rate bytes per second, over all requests.
func limited(bytesPerSecond float64, burst int) func(*originServer) {
	return func(o *originServer) { o.limit = rate.NewLimiter(rate.Limit(bytesPerSecond), burst) }
}

// always answers every request by handler.
func always(handler http.HandlerFunc) func(*originServer) {
	return func(o *originServer) { o.always = handler }
}

// client is an HTTP client of this test, whose connections end with it.
func client(t testing.TB) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// fail answers the next n requests by fault.
func (o *originServer) fail(fault http.HandlerFunc, n int) *originServer {
	o.mu.Lock()
	defer o.mu.Unlock()
	for range n {
		o.faults = append(o.faults, fault)
	}
	return o
}

func (o *originServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.requests.Add(1)
	o.mu.Lock()
	handler := o.always
	if len(o.faults) > 0 {
		handler, o.faults = o.faults[0], o.faults[1:]
	}
	o.ranges[r.Header.Get("Range")]++
	o.mu.Unlock()
	counted := &countingWriter{ResponseWriter: w, origin: o, ctx: r.Context()}
	if handler != nil {
		handler(counted, r)
		return
	}
	http.ServeContent(counted, r, "data.zst", time.Time{}, bytes.NewReader(o.content))
}

type countingWriter struct {
	http.ResponseWriter

	origin *originServer
	ctx    context.Context
}

// Write counts and limits in small steps. Not having ReadFrom keeps sendfile away.
func (w *countingWriter) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		step := b[done:min(done+16<<10, len(b))]
		if w.origin.limit != nil {
			if err := w.origin.limit.WaitN(w.ctx, len(step)); err != nil {
				return done, err
			}
		}
		if stop := w.origin.stopAt; stop > 0 && w.origin.sent.Load() >= stop {
			<-w.ctx.Done()
			return done, w.ctx.Err()
		}
		n, err := w.ResponseWriter.Write(step)
		w.origin.sent.Add(int64(n))
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (w *countingWriter) Flush() {
	if f, ok := w.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Faults.

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		http.Error(w, http.StatusText(code), code)
	}
}

func ignoresRange(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }
}

// serves answers ranges of other bytes.
func serves(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "data.zst", time.Time{}, bytes.NewReader(content))
	}
}

func wrongContentRange(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", "bytes 0-65535/99999999")
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(content[:65536])
	}
}

// stalls sends the header and half a piece and then nothing until the client gives up.
func stalls(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		partial(w, r, content, testPiece/2)
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		<-r.Context().Done()
	}
}

// cuts closes the connection in the middle of a piece.
func cuts(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		partial(w, r, content, testPiece/2)
		panic(http.ErrAbortHandler)
	}
}

// partial sends the right header and the first n bytes of the range asked for.
func partial(w http.ResponseWriter, r *http.Request, content []byte, n int) {
	rec := httptest.NewRecorder()
	http.ServeContent(rec, r, "data.zst", time.Time{}, bytes.NewReader(content))
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = io.CopyN(w, rec.Body, int64(n))
}

func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// flipped is b with all bits wrong.
func flipped(b []byte) []byte {
	out := bytes.Clone(b)
	for i := range out {
		out[i] ^= 0xff
	}
	return out
}
