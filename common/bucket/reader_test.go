package bucket_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/bucket/s3test"
)

// reader reads from a server that answers with h.
func reader(t *testing.T, h http.HandlerFunc) *bucket.Reader {
	t.Helper()
	s, _ := countingServer(t, h)
	return readerOf(t, s.URL+"/base")
}

func readerOf(t *testing.T, base string) *bucket.Reader {
	t.Helper()
	r, err := bucket.NewReader(base, newClient(t, bucket.Policy{AllowPrivate: true}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReaderReadsWhatTheStoreWrote(t *testing.T) {
	s := s3test.New(t)
	store := open(t, s.StoreConfig("chain"))
	r := readerOf(t, s.PublicURL()+"/chain/")
	odd := "demo/20261120T060000Z/one more+100% ü&=#;:@.zst"
	for key, body := range map[string]string{
		bucket.PointerKey("demo"): "signed", bucket.InfoHashKey(infoHash()): "d4:infoe", odd: "0123456789",
	} {
		if err := store.Put(t.Context(), key, strings.NewReader(body), int64(len(body)), bucket.Defaults(key)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := r.Pointer(t.Context(), "demo"); err != nil || string(got) != "signed" {
		t.Errorf("Pointer = %q, %v", got, err)
	}
	if got, err := r.Torrent(t.Context(), infoHash()); err != nil || string(got) != "d4:infoe" {
		t.Errorf("Torrent = %q, %v", got, err)
	}
	info, err := r.Stat(t.Context(), odd)
	if err != nil || info.Size != 10 || info.ETag == "" || info.Modified.IsZero() {
		t.Errorf("Stat = %+v, %v; want 10 bytes, an ETag and a time", info, err)
	}
	body, total, err := r.Range(t.Context(), odd, 3, 4)
	if err != nil || total != 10 {
		t.Fatalf("Range: total %d, %v; want 10", total, err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || string(got) != "3456" {
		t.Errorf("Range = %q, %v; want 3456", got, err)
	}
	if _, _, err := r.Range(t.Context(), odd, 10, 1); status(err) != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("Range beyond the end: %v, want status 416", err)
	}
	if _, err := r.Pointer(t.Context(), "other"); !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("Pointer of a channel that is not there: %v, want ErrNotFound", err)
	}
}

// status is the HTTP status in an error, 0 if there is none.
func status(err error) int {
	var s *bucket.StatusError
	if errors.As(err, &s) {
		return s.Status
	}
	return 0
}

func TestReaderKeepsItsLimits(t *testing.T) {
	long := strings.Repeat("x", bucket.MaxPointerSize+1)
	announced := reader(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, long) })
	if _, err := announced.Pointer(t.Context(), "demo"); !errors.Is(err, bucket.ErrTooLarge) {
		t.Errorf("Pointer of %d bytes: %v, want ErrTooLarge", len(long), err)
	}
	served := make(chan int64, 1)
	endless := reader(t, func(w http.ResponseWriter, _ *http.Request) {
		var n int64
		for n < 1<<30 {
			written, err := io.WriteString(w, long)
			if n += int64(written); err != nil {
				break
			}
		}
		served <- n
	})
	if _, err := endless.Pointer(t.Context(), "demo"); !errors.Is(err, bucket.ErrTooLarge) {
		t.Errorf("Pointer without an end: %v, want ErrTooLarge", err)
	}
	if n := <-served; n > 64<<20 {
		t.Errorf("the server could send %d bytes, want only what buffers hold", n)
	}
}

func TestReaderStatusErrors(t *testing.T) {
	for code, want := range map[int]error{
		404: bucket.ErrNotFound, 410: bucket.ErrNotFound, 401: bucket.ErrDenied, 403: bucket.ErrDenied, 451: bucket.ErrDenied,
		429: bucket.ErrUnreachable, 500: bucket.ErrUnreachable, 503: bucket.ErrUnreachable,
	} {
		r := reader(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(code)
		})
		_, err := r.Get(t.Context(), "demo/20261120T060000Z/a b", 10)
		var got *bucket.StatusError
		if !errors.Is(err, want) || !errors.As(err, &got) || got.Status != code || got.RetryAfter != 7*time.Second ||
			got.URL != r.URL("demo/20261120T060000Z/a b") {
			t.Errorf("status %d: %v, want %v with status, address and 7 s", code, err, want)
		}
	}
}

func TestReaderRefusesWrongRanges(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"whole object": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "0123456789") },
		"no Content-Range": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
		},
		"another range": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", "bytes 4-7/10")
			w.WriteHeader(http.StatusPartialContent)
		},
		"no content": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	} {
		body, _, err := reader(t, answer).Range(t.Context(), "demo/pointer", 3, 4)
		if err == nil {
			body.Close()
			t.Errorf("%s: Range succeeds", name)
		}
	}
}

func TestReaderNoticesAShortRange(t *testing.T) {
	r := reader(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 3-6/10")
		w.Header().Set("Transfer-Encoding", "chunked")
		w.WriteHeader(http.StatusPartialContent)
		fmt.Fprint(w, "34")
	})
	body, _, err := r.Range(t.Context(), "demo/pointer", 3, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Range of 4 bytes = %q, %v; want an unexpected EOF", got, err)
	}
}

func TestReaderOfAClosedPortIsUnreachable(t *testing.T) {
	s, _ := countingServer(t, func(http.ResponseWriter, *http.Request) {})
	base := s.URL
	s.Close()
	_, err := readerOf(t, base).Pointer(t.Context(), "demo")
	if !errors.Is(err, bucket.ErrUnreachable) || strings.Count(err.Error(), base) != 1 {
		t.Errorf("Pointer: %v, want ErrUnreachable and the address once", err)
	}
}

func TestReaderRefusesBadKeys(t *testing.T) {
	r := reader(t, func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") })
	if _, err := r.Get(t.Context(), "../secret", 10); !errors.Is(err, bucket.ErrBadKey) {
		t.Errorf("Get: %v, want ErrBadKey", err)
	}
	if _, err := r.Pointer(t.Context(), ""); !errors.Is(err, bucket.ErrBadKey) {
		t.Errorf("Pointer: %v, want ErrBadKey", err)
	}
}

func TestParseBase(t *testing.T) {
	for in, want := range map[string]string{
		"https://Example.org":              "https://example.org",
		"https://example.org/":             "https://example.org",
		"http://example.org:8080/a/b c/":   "http://example.org:8080/a/b%20c",
		"http://[2001:db8::1]:80/snap%20s": "http://[2001:db8::1]:80/snap%20s",
	} {
		if u, err := bucket.ParseBase(in); err != nil || u.String() != want {
			t.Errorf("ParseBase(%q) = %v, %v; want %s", in, u, err, want)
		}
	}
	for _, in := range []string{
		"", "example.org", "ftp://example.org", "https://", "https:///x", "http:example.org", "https://u:p@example.org",
		"https://example.org?x", "https://example.org?", "https://example.org#", "https://example.org/../x", "https://example.org/a//b",
		"https://example.org/" + strings.Repeat("x", 512), "http://[::1", "https://example.org/%00",
	} {
		if u, err := bucket.ParseBase(in); !errors.Is(err, bucket.ErrBadConfig) {
			t.Errorf("ParseBase(%q) = %v, %v; want ErrBadConfig", in, u, err)
		}
	}
}

func FuzzParseBase(f *testing.F) {
	f.Add("https://example.org/a")
	f.Add("http://[::1]:80")
	f.Add("http://u:p@h")
	f.Fuzz(func(t *testing.T, s string) {
		u, err := bucket.ParseBase(s)
		if err != nil {
			return
		}
		again, err := bucket.ParseBase(u.String())
		if len(u.String()) <= bucket.MaxBaseURL && (err != nil || again.String() != u.String()) {
			t.Errorf("ParseBase(%q) = %v, which parses to %v, %v", s, u, again, err)
		}
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
			t.Errorf("ParseBase(%q) = %v", s, u)
		}
	})
}
