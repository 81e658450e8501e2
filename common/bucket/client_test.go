package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"snapswarm/common/address"
	"snapswarm/common/bucket"
)

// countingServer counts the connections that reach it.
func countingServer(t *testing.T, h http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var connections atomic.Int64
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s, &connections
}

// hang takes a request and says nothing. Only with the body read does the server notice that the client has gone.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func newClient(t *testing.T, p bucket.Policy) *http.Client {
	t.Helper()
	c, err := bucket.NewHTTPClient(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func get(t *testing.T, c *http.Client, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

func TestPrivateAddressesAreNotDialled(t *testing.T) {
	s, connections := countingServer(t, func(http.ResponseWriter, *http.Request) {})
	_, port, err := net.SplitHostPort(strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	// A proxy would connect for us, unchecked: it must not be asked.
	t.Setenv("HTTP_PROXY", s.URL)
	t.Setenv("HTTPS_PROXY", s.URL)
	c := newClient(t, bucket.Policy{Origins: []string{"http://configured.invalid"}})
	for _, host := range []string{
		"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.1.2.3", "169.254.169.254", "[fd00:ec2::254]",
		"[fe80::1]", "100.64.0.1", "224.0.0.1",
	} {
		for _, scheme := range []string{"http", "https"} {
			url := scheme + "://" + host + ":" + port + "/demo/pointer"
			if _, err := get(t, c, url); !errors.Is(err, address.ErrNotPublic) {
				t.Errorf("get %s: %v, want ErrNotPublic", url, err)
			}
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections were made, want none", n)
	}
}

func TestConfiguredOriginsAreDialled(t *testing.T) {
	hello := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }
	mine, _ := countingServer(t, hello)
	other, connections := countingServer(t, hello)
	c := newClient(t, bucket.Policy{Origins: []string{mine.URL + "/some/base/"}})
	if body, err := get(t, c, mine.URL+"/elsewhere"); err != nil || body != "hello" {
		t.Errorf("get from the configured origin = %q, %v; want its answer", body, err)
	}
	// Same host, another port: not what the operator wrote.
	if _, err := get(t, c, other.URL); !errors.Is(err, address.ErrNotPublic) {
		t.Errorf("get from another port: %v, want ErrNotPublic", err)
	}
	// Same host and port, another scheme: neither.
	if _, err := get(t, c, strings.Replace(mine.URL, "http://", "https://", 1)); !errors.Is(err, address.ErrNotPublic) {
		t.Errorf("get by another scheme: %v, want ErrNotPublic", err)
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections to the other port, want none", n)
	}
	all := newClient(t, bucket.Policy{AllowPrivate: true})
	if body, err := get(t, all, other.URL); err != nil || body != "hello" {
		t.Errorf("get with AllowPrivate = %q, %v; want the answer", body, err)
	}
}

func TestRedirects(t *testing.T) {
	target, connections := countingServer(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "secret") })
	s, _ := countingServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, "/end", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/other":
			http.Redirect(w, r, target.URL, http.StatusFound)
		case "/name":
			http.Redirect(w, r, strings.Replace(target.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
		case "/end":
			fmt.Fprint(w, "end")
		}
	})
	c := newClient(t, bucket.Policy{AllowPrivate: true})
	if body, err := get(t, c, s.URL+"/same"); err != nil || body != "end" {
		t.Errorf("redirect on the same host = %q, %v; want it followed", body, err)
	}
	for _, path := range []string{"/loop", "/other", "/name"} {
		if _, err := get(t, c, s.URL+path); !errors.Is(err, bucket.ErrRefusedRedirect) {
			t.Errorf("redirect %s: %v, want ErrRefusedRedirect", path, err)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d connections to the other host, want none", n)
	}
}

func TestSilentBodyStalls(t *testing.T) {
	release := make(chan struct{})
	s, _ := countingServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		fmt.Fprint(w, "01234")
		http.NewResponseController(w).Flush() //nolint:errcheck // the test fails anyway
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	c := newClient(t, bucket.Policy{AllowPrivate: true, StallTimeout: 50 * time.Millisecond})
	body, err := get(t, c, s.URL)
	if body != "01234" || !errors.Is(err, bucket.ErrStalled) || !errors.Is(err, bucket.ErrUnreachable) {
		t.Errorf("get of a silent body = %q, %v; want the first half and ErrStalled", body, err)
	}
}

func TestSlowBodyDoesNotStall(t *testing.T) {
	s, _ := countingServer(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 10 {
			fmt.Fprint(w, "x")
			http.NewResponseController(w).Flush() //nolint:errcheck // the test fails anyway
			time.Sleep(30 * time.Millisecond)
		}
	})
	c := newClient(t, bucket.Policy{AllowPrivate: true, StallTimeout: 200 * time.Millisecond})
	if body, err := get(t, c, s.URL); err != nil || body != "xxxxxxxxxx" {
		t.Errorf("get of a slow body = %q, %v; want all of it although it takes longer than the limit", body, err)
	}
}

func TestSilentServerTimesOut(t *testing.T) {
	s, _ := countingServer(t, hang)
	c := newClient(t, bucket.Policy{AllowPrivate: true, HeaderTimeout: 50 * time.Millisecond})
	r, err := bucket.NewReader(s.URL, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Pointer(t.Context(), "demo"); !errors.Is(err, bucket.ErrUnreachable) {
		t.Errorf("Pointer from a server that does not answer: %v, want ErrUnreachable", err)
	}
}

func TestClientOfABadOrigin(t *testing.T) {
	if _, err := bucket.NewHTTPClient(bucket.Policy{Origins: []string{"ftp://x"}}); !errors.Is(err, bucket.ErrBadConfig) {
		t.Errorf("NewHTTPClient: %v, want ErrBadConfig", err)
	}
}

func TestPasswordsInAddressesAreRefused(t *testing.T) {
	s, connections := countingServer(t, func(http.ResponseWriter, *http.Request) {})
	c := newClient(t, bucket.Policy{AllowPrivate: true})
	_, err := get(t, c, strings.Replace(s.URL, "http://", "http://user:hunter2@", 1))
	if !errors.Is(err, bucket.ErrBadConfig) || connections.Load() != 0 {
		t.Errorf("get with a password: %v and %d connections, want ErrBadConfig and none", err, connections.Load())
	}
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error shows the password: %v", err)
	}
}

func TestCanceledContextIsTheCallersError(t *testing.T) {
	s, _ := countingServer(t, hang)
	r, err := bucket.NewReader(s.URL, newClient(t, bucket.Policy{AllowPrivate: true}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := r.Pointer(ctx, "demo"); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, bucket.ErrUnreachable) {
		t.Errorf("Pointer: %v, want the context's error and not ErrUnreachable", err)
	}
}
