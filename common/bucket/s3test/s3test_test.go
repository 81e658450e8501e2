package s3test_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/common/bucket/s3test"
)

const key = "demo/20261120T060000Z/data.zst"

func TestAnonymousMayReadAndNothingElse(t *testing.T) {
	s := s3test.New(t)
	put(t, s)
	url := s.PublicURL() + "/" + key
	for _, test := range []struct {
		name, method, url, byteRange string
		status                       int
		body                         string
	}{
		{"get", http.MethodGet, url, "", http.StatusOK, "0123456789"},
		{"head", http.MethodHead, url, "", http.StatusOK, ""},
		{"range", http.MethodGet, url, "bytes=3-5", http.StatusPartialContent, "345"},
		{"tail", http.MethodGet, url, "bytes=-2", http.StatusPartialContent, "89"},
		{"range beyond the end", http.MethodGet, url, "bytes=10-", http.StatusRequestedRangeNotSatisfiable, "*"},
		{"missing object", http.MethodGet, url + ".none", "", http.StatusNotFound, "*"},
		{"write", http.MethodPut, url, "", http.StatusForbidden, "*"},
		{"delete", http.MethodDelete, url, "", http.StatusForbidden, "*"},
		{"list", http.MethodGet, s.PublicURL() + "?list-type=2", "", http.StatusForbidden, "*"},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, body := request(t, test.method, test.url, test.byteRange)
			if status != test.status || (test.body != "*" && body != test.body) {
				t.Errorf("%s %s = %d %q, want %d %q", test.method, test.url, status, body, test.status, test.body)
			}
		})
	}
}

func request(t *testing.T, method, url, byteRange string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestStartedAgainItHasItsObjects(t *testing.T) {
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	cfg := s3test.Config{Dir: t.TempDir(), Bucket: "chain"}
	first, err := s3test.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s3test.Start(t.Context(), s3test.Config{Dir: t.TempDir()}); !errors.Is(err, s3test.ErrRunning) {
		t.Errorf("a second server in one process: %v, want ErrRunning", err)
	}
	put(t, first)
	if err := first.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if after, err := os.Getwd(); err != nil || after != before {
		t.Errorf("working directory after Close is %q, %v; want %q", after, err, before)
	}

	cfg.Addr = strings.TrimPrefix(first.Endpoint, "http://")
	second, err := s3test.Start(t.Context(), cfg)
	if err != nil {
		t.Fatalf("start again at the same address: %v", err)
	}
	if status, body := request(t, http.MethodGet, second.PublicURL()+"/"+key, ""); status != http.StatusOK || body != "0123456789" {
		t.Errorf("the object is %d %q after the restart, want it as before", status, body)
	}
	put(t, second) // by the same account
	for range 2 {
		if err := second.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

func TestAddBucket(t *testing.T) {
	s := s3test.New(t)
	if err := s.AddBucket(t.Context(), "UPPER_CASE"); err == nil {
		t.Error("a bucket of an impossible name is made")
	}
	for range 2 {
		if err := s.AddBucket(t.Context(), "second"); err != nil {
			t.Errorf("AddBucket: %v", err)
		}
	}
	if status, _ := request(t, http.MethodGet, s.Endpoint+"/second/x", ""); status != http.StatusNotFound {
		t.Errorf("a missing object in a second bucket: status %d, want 404", status)
	}
}

func TestFailedStartLeavesTheTurnToOthers(t *testing.T) {
	l := listen(t)
	if _, err := s3test.Start(t.Context(), s3test.Config{Dir: t.TempDir(), Addr: l}); err == nil || !strings.Contains(err.Error(), l) {
		t.Fatalf("Start on a taken address: %v, want one that names %s", err, l)
	}
	s3test.New(t) // would wait for ever if the turn were lost
}

func put(t *testing.T, s *s3test.Server) {
	t.Helper()
	store, err := bucket.Open(s.StoreConfig(""))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Put(t.Context(), key, strings.NewReader("0123456789"), 10, bucket.Defaults(key)); err != nil {
		t.Fatal(err)
	}
}

// listen takes a port and keeps it until the end of the test.
func listen(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}
