package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"snapswarm/common/snapshot"
	"snapswarm/gateway/serve"
)

// shelfOf is a library of one snapshot on the channel demo.
func shelfOf(t *testing.T, size int) (*shelf, *fakeSnapshot) {
	t.Helper()
	lib := newShelf(t, "demo")
	snap := newSnapshot(t, newest, "data.zst", content(9, size), describe(newest, content(9, size)))
	lib.add("demo", snap)
	return lib, snap
}

// answer is a response whose body the test closes.
type answer struct {
	status int
	header http.Header
	length int64
	body   io.Reader
}

func get(t *testing.T, url string, header ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return answer{response.StatusCode, response.Header, response.ContentLength, response.Body}
}

// read is the body of a GET that must succeed.
func read(t *testing.T, url string) []byte {
	t.Helper()
	response := get(t, url)
	body, err := io.ReadAll(response.body)
	if err != nil || response.status != http.StatusOK {
		t.Fatalf("GET %s = %d, %v", url, response.status, err)
	}
	return body
}

func TestBytesThatArriveWhileTheClientReads(t *testing.T) {
	t.Parallel()
	lib, snap := shelfOf(t, fileSize)
	snap.deliver(t, 0)
	url := "http://" + start(t, lib, serve.Config{}) + "/demo/latest/data.zst"
	response := get(t, url)
	if response.status != http.StatusOK || response.length != fileSize {
		t.Fatalf("GET = %d with %d bytes, want 200 with %d", response.status, response.length, fileSize)
	}
	got := make([]byte, fileSize)
	if _, err := io.ReadFull(response.body, got[:pieceLength]); err != nil {
		t.Fatalf("read the piece that is here: %v", err)
	}
	// the pieces behind the reader are asked for before it gets there, and in any order they may come
	eventually(t, "readahead", func() bool { return snap.asked(1) && slices.Equal(snap.want(), []int{2, 3}) })
	snap.deliver(t, 3, 2)
	snap.deliver(t, 1)
	if _, err := io.ReadFull(response.body, got[pieceLength:]); err != nil {
		t.Fatalf("read the rest: %v", err)
	}
	if !bytes.Equal(got, snap.content) {
		t.Error("the bytes are not those of the snapshot")
	}
}

func TestRangeAsksForItsOwnPiecesOnly(t *testing.T) {
	t.Parallel()
	lib, snap := shelfOf(t, 2*fileSize)
	url := "http://" + start(t, lib, serve.Config{}) + "/demo/" + newest + "/data.zst"
	done := make(chan answer)
	go func() { done <- get(t, url, "Range", "bytes=300000-1000000") }()
	eventually(t, "the range is asked for", func() bool { return snap.asked(1) })
	snap.deliver(t, 1)
	response := <-done
	eventually(t, "the pieces behind are asked for", func() bool { return snap.asked(2) && slices.Equal(snap.want(), []int{3}) })
	snap.deliver(t, 2, 3)
	if body, err := io.ReadAll(response.body); err != nil || !bytes.Equal(body, snap.content[300000:1000001]) {
		t.Errorf("the range has %d bytes that are not those of the snapshot, %v", len(body), err)
	}
	for _, piece := range []int{0, 4, 5} {
		if snap.asked(piece) {
			t.Errorf("piece %d was waited for, which the range does not need", piece)
		}
	}
	eventually(t, "nothing is wanted any more", func() bool { return len(snap.want()) == 0 })
}

func TestSlowSourceIsNotDead(t *testing.T) {
	t.Parallel()
	const idle = 60 * time.Millisecond
	lib, snap := shelfOf(t, fileSize)
	snap.deliver(t, 0)
	response := get(t, "http://"+start(t, lib, serve.Config{Idle: idle})+"/demo/latest/data.zst")
	if _, err := io.ReadFull(response.body, make([]byte, pieceLength)); err != nil {
		t.Fatal(err)
	}
	// a piece takes several times the idle limit, but something arrives all the time
	for end := time.Now().Add(5 * idle); time.Now().Before(end); time.Sleep(idle / 20) {
		snap.trickle(100)
	}
	snap.deliver(t, 1, 2, 3)
	rest, err := io.ReadAll(response.body)
	if err != nil || !bytes.Equal(rest, snap.content[pieceLength:]) {
		t.Errorf("rest = %d bytes, %v; want those of the snapshot", len(rest), err)
	}
}

func TestDeadSourceBeforeTheFirstByteIsExplained(t *testing.T) {
	t.Parallel()
	lib, snap := shelfOf(t, fileSize)
	snap.deliver(t, 1, 2, 3)
	response := get(t, "http://"+start(t, lib, serve.Config{FirstByte: 20 * time.Millisecond})+"/demo/latest/data.zst")
	body, err := io.ReadAll(response.body)
	if err != nil || response.status != http.StatusGatewayTimeout || !strings.Contains(string(body), "neither peers nor origins") {
		t.Errorf("GET = %d, %q, %v; want 504 and an explanation", response.status, body, err)
	}
}

func TestDeadSourceLaterCutsTheConnection(t *testing.T) {
	t.Parallel()
	lib, snap := shelfOf(t, fileSize)
	snap.deliver(t, 0, 1)
	response := get(t, "http://"+start(t, lib, serve.Config{Idle: 20 * time.Millisecond})+"/demo/latest/data.zst")
	body, err := io.ReadAll(response.body)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("reading the body gave %v, want an unexpected EOF", err)
	}
	if !bytes.Equal(body, snap.content[:2*pieceLength]) {
		t.Errorf("body has %d bytes, want the two pieces that are here and nothing else", len(body))
	}
}

func TestBrokenDiskCutsTheConnection(t *testing.T) {
	t.Parallel()
	lib, snap := shelfOf(t, fileSize)
	snap.deliver(t, 0, 1, 2, 3)
	if err := os.Truncate(snap.path, 300_000); err != nil {
		t.Fatal(err)
	}
	response := get(t, "http://"+start(t, lib, serve.Config{})+"/demo/latest/data.zst")
	if body, err := io.ReadAll(response.body); !errors.Is(err, io.ErrUnexpectedEOF) || len(body) != 300_000 {
		t.Errorf("body = %d bytes, %v; want 300000 and an unexpected EOF", len(body), err)
	}
}

func TestFileThatCannotBeOpenedIsUnavailable(t *testing.T) {
	t.Parallel()
	lib, snap := shelfOf(t, fileSize)
	snap.deliver(t, 0, 1, 2, 3)
	if err := os.Remove(snap.path); err != nil {
		t.Fatal(err)
	}
	response := get(t, "http://"+start(t, lib, serve.Config{})+"/demo/latest/data.zst")
	body, err := io.ReadAll(response.body)
	if err != nil || response.status != http.StatusServiceUnavailable || bytes.Contains(body, []byte(snap.path)) {
		t.Errorf("GET = %d, %q, %v; want 503 without a path of the disk", response.status, body, err)
	}
}

func TestNewestVersionThatCannotBeOpenedIsUnavailable(t *testing.T) {
	t.Parallel()
	const next = "20261120T110000Z"
	lib, _ := shelfOf(t, fileSize)
	lib.trouble = map[snapshot.Version]error{next: errors.New("open /data/secret: is a directory")}
	addr := start(t, lib, serve.Config{})
	for _, file := range []string{"/data.zst", "/data.zst.torrent", ""} {
		a := get(t, "http://"+addr+"/demo/"+next+file)
		body, err := io.ReadAll(a.body)
		if err != nil {
			t.Fatal(err)
		}
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || !bytes.Contains(body, []byte(next)) || bytes.Contains(body, []byte("secret")) {
			t.Errorf("GET %s%s: %d %v %q, want 503, when to try again, and no path", next, file, a.status, a.header, body)
		}
	}
}

func TestClientThatTakesNothingIsCutOff(t *testing.T) {
	t.Parallel()
	const size = 32 << 20 // more than all socket buffers on the way
	lib, snap := shelfOf(t, size)
	for i := range snap.torrent.NumPieces() {
		snap.deliver(t, i)
	}
	addr := start(t, lib, serve.Config{Idle: 100 * time.Millisecond})
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /demo/latest/data.zst HTTP/1.1\r\nHost: gw.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond) // this is the client that takes nothing
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := io.Copy(io.Discard, conn); n >= size || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client got %d bytes, %v; want a connection that was cut", n, err)
	}
}

func TestSlowClientIsNotCutOff(t *testing.T) {
	t.Parallel()
	const size, fast = 16 << 20, 10 << 20
	lib, snap := shelfOf(t, size)
	for i := range snap.torrent.NumPieces() {
		snap.deliver(t, i)
	}
	addr := start(t, lib, serve.Config{Idle: 500 * time.Millisecond})
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10) // so that the server feels every pause
	if _, err := io.WriteString(conn, "GET /demo/latest/data.zst HTTP/1.1\r\nHost: gw.test\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got bytes.Buffer
	for { // fast at first, then so slow that a large step takes several times the limit
		if _, err := io.CopyN(&got, response.Body, 64<<10); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("after %d bytes: %v", got.Len(), err)
		}
		if got.Len() > fast {
			time.Sleep(20 * time.Millisecond)
		}
	}
	if !bytes.Equal(got.Bytes(), snap.content) {
		t.Error("the bytes are not those of the snapshot")
	}
}

func TestNothingWaitsForAClientThatLeft(t *testing.T) {
	t.Parallel()
	lib, snap := shelfOf(t, fileSize)
	snap.deliver(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+start(t, lib, serve.Config{})+"/demo/latest/data.zst", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	eventually(t, "the handler waits", func() bool { return snap.asked(1) && len(snap.want()) > 0 })
	cancel()
	eventually(t, "nothing is wanted any more", func() bool { return len(snap.want()) == 0 })
}

func TestKeepAliveOutlivesTheIdleLimit(t *testing.T) {
	t.Parallel()
	lib, snap := shelfOf(t, fileSize)
	snap.deliver(t, 0, 1, 2, 3)
	url := "http://" + start(t, lib, serve.Config{Idle: 50 * time.Millisecond}) + "/demo/latest/data.zst"
	for range 3 {
		if body := read(t, url); len(body) != fileSize {
			t.Fatalf("body = %d bytes", len(body))
		}
		time.Sleep(80 * time.Millisecond) // a deadline left over from the request before would cut the next one
	}
}

func TestSeveralRanges(t *testing.T) {
	t.Parallel()
	lib, snap := shelfOf(t, fileSize)
	snap.deliver(t, 0, 3)
	response := get(t, "http://"+start(t, lib, serve.Config{})+"/demo/"+newest+"/data.zst", "Range", "bytes=900000-900009,5-9,2000000-")
	if response.status != http.StatusPartialContent {
		t.Fatalf("GET = %d, want 206", response.status)
	}
	body, err := io.ReadAll(response.body)
	if err != nil || int64(len(body)) != response.length {
		t.Fatalf("body = %d bytes, %v; want %d", len(body), err, response.length)
	}
	_, parameters, err := mime.ParseMediaType(response.header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(bytes.NewReader(body), parameters["boundary"])
	for _, want := range []struct {
		contentRange string
		from, to     int
	}{{"bytes 900000-900009/1000000", 900000, 900010}, {"bytes 5-9/1000000", 5, 10}} {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(part)
		if err != nil || part.Header.Get("Content-Range") != want.contentRange || !bytes.Equal(got, snap.content[want.from:want.to]) {
			t.Errorf("part = %v with %d bytes, %v; want %s", part.Header, len(got), err, want.contentRange)
		}
	}
	if _, err := parts.NextPart(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last part: %v, want EOF", err)
	}
}

// TestDataGoesToTheSocketByFile fails when something between the handler and net/http's writer hides its ReadFrom, or the file:
// then sendfile(2) would silently become read and write.
func TestDataGoesToTheSocketByFile(t *testing.T) {
	t.Parallel()
	lib, snap := shelfOf(t, fileSize)
	snap.deliver(t, 0, 1, 2, 3)
	h, err := serve.New(lib, serve.Config{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{"", "bytes=100-", "bytes=5-9,600000-"} {
		w := &fileWriter{ResponseRecorder: httptest.NewRecorder()}
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/demo/"+newest+"/data.zst", nil)
		request.Header.Set("Range", header)
		if header == "" {
			request.Header.Del("Range")
		}
		h.ServeHTTP(w, request)
		if w.files == 0 || w.other > 0 {
			t.Errorf("Range %q: %d copies from the file, %d from elsewhere, want some and none", header, w.files, w.other)
		}
	}
}

// fileWriter looks at what io.Copy hands over.
type fileWriter struct {
	*httptest.ResponseRecorder
	files, other int
}

func (w *fileWriter) ReadFrom(src io.Reader) (int64, error) {
	limited, ok := src.(*io.LimitedReader)
	if ok {
		_, ok = limited.R.(*os.File)
	}
	if ok {
		w.files++
	} else {
		w.other++
	}
	return io.Copy(w.Body, src)
}

func TestNextStep(t *testing.T) {
	t.Parallel()
	const idle = 100 * time.Second
	for _, tt := range []struct {
		step int64
		took time.Duration
		want int64
	}{
		{256 << 10, time.Millisecond, 512 << 10},
		{4 << 20, time.Millisecond, 4 << 20},
		{1 << 20, 5 * time.Second, 1 << 20},
		{1 << 20, 20 * time.Second, 512 << 10},
		{64 << 10, time.Minute, 64 << 10},
	} {
		if got := serve.NextStep(tt.step, tt.took, idle); got != tt.want {
			t.Errorf("nextStep(%d, %s) = %d, want %d", tt.step, tt.took, got, tt.want)
		}
	}
}
