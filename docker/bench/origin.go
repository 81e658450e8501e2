package main

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// slowOrigin is a bucket's web server that sends at most so many bytes per second, over all requests, and counts those of one file.
type slowOrigin struct {
	files http.Handler
	limit *rate.Limiter
	file  string // base name
	sent  atomic.Int64
}

// originStep is how much is sent at once.
const originStep = 64 << 10

func newSlowOrigin(dir, file string, bytesPerSecond float64) *slowOrigin {
	return &slowOrigin{
		files: http.FileServer(http.Dir(dir)), file: file,
		// A burst of 1/32 s hides the limiter's own granularity and lends nothing to the first request.
		limit: rate.NewLimiter(rate.Limit(bytesPerSecond), max(originStep, int(bytesPerSecond/32))),
	}
}

// ServeHTTP implements http.Handler.
func (o *slowOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	slow := &slowWriter{ResponseWriter: w, ctx: r.Context(), origin: o, counts: strings.HasSuffix(r.URL.Path, "/"+o.file)}
	o.files.ServeHTTP(slow, r)
}

// slowWriter has no ReadFrom, so that sendfile cannot get around it.
type slowWriter struct {
	http.ResponseWriter

	ctx    context.Context
	origin *slowOrigin
	counts bool
}

// Write counts what went into the socket, whether or not anybody read it.
func (w *slowWriter) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		step := b[done:min(done+originStep, len(b))]
		if err := w.origin.limit.WaitN(w.ctx, len(step)); err != nil {
			return done, err
		}
		if w.counts {
			w.origin.sent.Add(int64(len(step))) // before the last of it makes somebody complete
		}
		n, err := w.ResponseWriter.Write(step)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}
