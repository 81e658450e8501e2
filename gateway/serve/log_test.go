package serve_test

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"snapswarm/gateway/serve"
)

// logBuffer keeps what a handler logs.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) has(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Contains(b.buf.String(), text)
}

func (b *logBuffer) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func TestLogHoldsNothingThatAClientMadeUp(t *testing.T) {
	t.Parallel()
	lib, _ := shelfOf(t, fileSize)
	var log logBuffer
	addr := start(t, lib, serve.Config{Log: log.logger(), FirstByte: 10 * time.Millisecond})
	for _, request := range [][]string{
		{"GET /marker/latest/marker", "User-Agent: marker", "X-Marker: marker"},
		{"GET /demo/latest/marker?marker=marker"},
		{"GET /demo/marker/%2e%2e/marker"},
		{"GET /demo/" + newest + "/data.zst?marker", "Referer: http://marker/", "Host: marker.test"}, // 504
		{"MARKER /demo/latest/data.zst"},
		{"GET /demo/latest/data.zst", "Range: marker=5-", "If-Range: marker", "If-None-Match: marker"},
	} {
		roundTrip(t, addr, request)
	}
	eventually(t, "the requests are logged", func() bool { return log.has("status=504") && log.has("status=405") && log.has("status=400") })
	if log.has("arker") || log.has("ARKER") {
		t.Errorf("the log repeats what a client sent:\n%s", log.buf.String())
	}
}

func TestLogSaysWhyATransferWasCut(t *testing.T) {
	t.Parallel()
	lib, snap := shelfOf(t, fileSize)
	snap.deliver(t, 0)
	var log logBuffer
	url := "http://" + start(t, lib, serve.Config{Log: log.logger(), Idle: 20 * time.Millisecond}) + "/demo/latest/data.zst"
	_, _ = io.Copy(io.Discard, get(t, url).body)
	eventually(t, "the reason is logged", func() bool {
		return log.has("no source delivered anything") && log.has("end=stalled")
	})
}
