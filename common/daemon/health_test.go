package daemon_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"snapswarm/common/daemon"
)

func probe(t *testing.T, h *daemon.Health, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Code, w.Body.String()
}

func TestHealth(t *testing.T) {
	var h daemon.Health
	wantProbe(t, &h, "/readyz", 200, "ok\n")
	alive, ready := error(nil), errors.New("no version\nis complete")
	h.Live("loop", func(context.Context) (string, error) { return "ran 1s ago", alive })
	h.Ready("channel daily", func(context.Context) (string, error) { return "20261120T060000Z", ready })

	wantProbe(t, &h, "/livez", 200, "ok\n")
	wantProbe(t, &h, "/livez?verbose", 200, "[+] loop: ran 1s ago\nok\n")
	wantProbe(t, &h, "/readyz", 503, "[-] channel daily: no version; is complete\nfailed\n")
	wantProbe(t, &h, "/readyz?verbose", 503, "[+] loop: ran 1s ago\n[-] channel daily: no version; is complete\nfailed\n")
	ready = nil
	wantProbe(t, &h, "/readyz?verbose", 200, "[+] loop: ran 1s ago\n[+] channel daily: 20261120T060000Z\nok\n")
	alive = errors.New("stuck")
	wantProbe(t, &h, "/livez", 503, "[-] loop: stuck\nfailed\n")
	wantProbe(t, &h, "/readyz", 503, "[-] loop: stuck\nfailed\n")
}

func wantProbe(t *testing.T, h *daemon.Health, path string, code int, body string) {
	t.Helper()
	if gotCode, got := probe(t, h, path); gotCode != code || got != body {
		t.Errorf("GET %s = %d %q, want %d %q", path, gotCode, got, code, body)
	}
}

// A check that hangs must fail its probe, and later probes must not pile up behind it.
func TestHealthCheckThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h daemon.Health
		release := make(chan struct{})
		var calls atomic.Int32
		h.Live("lock", func(context.Context) (string, error) { calls.Add(1); <-release; return "free", nil })
		for range 3 {
			wantProbe(t, &h, "/livez", 503, "[-] lock: gives no answer\nfailed\n")
		}
		if got := calls.Load(); got != 1 {
			t.Errorf("the check was started %d times while it hung, want 1", got)
		}
		close(release)
		synctest.Wait()
		wantProbe(t, &h, "/livez", 200, "ok\n")
	})
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
