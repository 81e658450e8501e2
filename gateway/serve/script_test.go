package serve_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"snapswarm/gateway/serve"
)

const (
	newest  = "20261120T060000Z-h300" // complete
	partial = "20261113T060000Z-h200" // pieces 0 and 2 are here
	absent  = "20261106T060000Z"      // nothing is here
)

// scriptShelf is the library that the scripts in testdata talk about.
func scriptShelf(t *testing.T) (lib *shelf, words *strings.Replacer) {
	t.Helper()
	lib = newShelf(t, "demo", "old", "bare", "empty")
	a := newSnapshot(t, absent, "data.ldb.zst", content(1, fileSize), describe(absent, content(1, fileSize)))
	b := newSnapshot(t, partial, "data.ldb.zst", content(2, fileSize), describe(partial, content(2, fileSize)))
	b.deliver(t, 0, 2)
	c := newSnapshot(t, newest, "data.ldb.zst", content(3, fileSize), describe(newest, content(3, fileSize)))
	c.deliver(t, 0, 1, 2, 3)
	lib.add("demo", a)
	lib.add("demo", b)
	lib.add("demo", c)
	lib.point(t, "demo", now.Add(-time.Hour), now.Add(13*24*time.Hour))

	odd := newSnapshot(t, "20260101T000000Z", "Größe 100% & it's.tar.zst", content(4, 1000), describe("20260101T000000Z", content(4, 1000)))
	odd.deliver(t, 0)
	lib.add("old", odd)
	lib.point(t, "old", now.Add(-30*24*time.Hour), now.Add(-16*24*time.Hour))

	bare := newSnapshot(t, "20260202T000000Z", "rai.7z", content(5, 1000), nil)
	bare.deliver(t, 0)
	lib.add("bare", bare)

	tag := func(s *fakeSnapshot) string { return fmt.Sprintf(`"%x"`, s.torrent.Description.SHA256) }
	return lib, strings.NewReplacer(
		"$newest", newest, "$partial", partial, "$absent", absent,
		"$etag-newest", tag(c), "$etag-partial", tag(b), "$etag-absent", tag(a),
		"$sha-newest", strings.Trim(tag(c), `"`),
		"$ih-newest", c.torrent.InfoHash.String(), "$ih-bare", bare.torrent.InfoHash.String(),
	)
}

// TestScripts runs the requests of testdata/*.txt over real sockets and compares the answers. The format:
//
//	# what is promised
//	> GET /path            the request line, without the HTTP version, and headers
//	> Range: bytes=0-9
//	< 206                  the status
//	< Content-Length: 10   a header, exactly
//	< ETag                 a header that must be there
//	< !Link                a header that must not
//	= bytes SEED 0 10      the body is bytes 0 to 10 of the content of SEED
//	= size 0               the body has that many bytes
//	= some text            the body holds the text
func TestScripts(t *testing.T) {
	t.Parallel()
	lib, words := scriptShelf(t)
	addr := start(t, lib, serve.Config{FirstByte: 30 * time.Millisecond, Idle: 30 * time.Second, MaxRanges: 4})
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range scripts {
		script, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for block := range strings.SplitSeq(string(script), "\n\n") {
			if strings.Contains(block, "\n> ") {
				runScript(t, addr, filepath.Base(path), words.Replace(strings.TrimSpace(block)))
			}
		}
	}
}

func runScript(t *testing.T, addr, file, block string) {
	t.Helper()
	var name string
	var request, want []string
	for line := range strings.SplitSeq(block, "\n") {
		switch mark, rest, _ := strings.Cut(line, " "); mark {
		case "#":
			name += " " + rest
		case ">":
			request = append(request, rest)
		case "<", "=":
			want = append(want, line)
		default:
			t.Fatalf("%s: unknown line %q", file, line)
		}
	}
	t.Run(file+name, func(t *testing.T) {
		response, body := roundTrip(t, addr, request)
		for _, line := range want {
			compare(t, response, body, line)
		}
		checkAlways(t, request[0], response, body)
		if t.Failed() {
			t.Logf("got %d %v\n%.600q", response.status, response.header, body)
		}
	})
}

// roundTrip sends the request as it stands, which http.Client would not.
func roundTrip(t *testing.T, addr string, lines []string) (answer, []byte) {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	head := lines[0] + " HTTP/1.1\r\nConnection: close\r\n" + strings.Join(lines[1:], "\r\n") + "\r\n"
	if !strings.Contains(head, "\r\nHost:") {
		head += "Host: gw.test\r\n"
	}
	if _, err := io.WriteString(conn, strings.Replace(head, "\r\n\r\n", "\r\n", 1)+"\r\n"); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(lines[0], " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s: %v", lines[0], err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s: read body: %v", lines[0], err)
	}
	return answer{status: response.StatusCode, header: response.Header}, body
}

func compare(t *testing.T, response answer, body []byte, line string) {
	t.Helper()
	mark, want, _ := strings.Cut(line, " ")
	if mark == "=" {
		compareBody(t, body, want)
		return
	}
	if status, err := strconv.Atoi(want); err == nil {
		if response.status != status {
			t.Errorf("status = %d, want %d", response.status, status)
		}
		return
	}
	name, value, exact := strings.Cut(want, ": ")
	forbidden := strings.HasPrefix(name, "!")
	got, there := response.header[http.CanonicalHeaderKey(strings.TrimPrefix(name, "!"))]
	switch {
	case forbidden && there:
		t.Errorf("%s = %q, want none", name[1:], got)
	case !forbidden && !there:
		t.Errorf("%s is missing", name)
	case exact && got[0] != value:
		t.Errorf("%s = %q, want %q", name, got[0], value)
	}
}

func compareBody(t *testing.T, body []byte, want string) {
	t.Helper()
	var seed uint64
	var from, to, size int
	if n, _ := fmt.Sscanf(want, "bytes %d %d %d", &seed, &from, &to); n == 3 {
		if !bytes.Equal(body, content(seed, fileSize)[from:to]) {
			t.Errorf("body is not %s; it has %d bytes", want, len(body))
		}
		return
	}
	if n, _ := fmt.Sscanf(want, "size %d", &size); n == 1 {
		if len(body) != size {
			t.Errorf("body has %d bytes, want %d", len(body), size)
		}
		return
	}
	if !bytes.Contains(body, []byte(strings.ReplaceAll(want, `\n`, "\n"))) {
		t.Errorf("body lacks %q", want)
	}
}

// checkAlways holds for every answer of the handler.
func checkAlways(t *testing.T, request string, response answer, body []byte) {
	t.Helper()
	if response.status == http.StatusRequestHeaderFieldsTooLarge || response.header.Get("X-Content-Type-Options") == "" && len(body) > 0 && bytes.HasPrefix(body, []byte("400 Bad Request")) {
		return // net/http answered before the handler
	}
	if got := response.header.Get("X-Content-Type-Options"); got != "nosniff" {
		t.Errorf("X-Content-Type-Options = %q, want nosniff", got)
	}
	if response.status < 400 {
		return
	}
	if got := response.header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("Content-Type of an error = %q, want plain text", got)
	}
	if got := response.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control of an error = %q, want no-store", got)
	}
	if !strings.HasPrefix(request, http.MethodHead) && len(body) < 20 {
		t.Errorf("body of an error = %q, want a text", body)
	}
}
