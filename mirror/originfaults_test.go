//go:build e2e

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"snapswarm/common/daemon"
)

// answer is how an origin answers wrongly, once.
type answer string

const (
	unavailable answer = "503"
	truncated   answer = "a truncated body"
	wrong       answer = "wrong bytes"
	reset       answer = "a reset"
	early       answer = "an end before the headers"
)

// flaky is an origin of which one answer is wrong.
type flaky struct {
	http.Handler

	mu    sync.Mutex
	at    int    // which answer; guarded by mu
	how   answer // guarded by mu
	calls int    // guarded by mu
}

func (f *flaky) begin(at int, how answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.how, f.calls = at, how, 0
}

func (f *flaky) next() (how answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.calls == f.at {
		return f.how
	}
	return ""
}

func (f *flaky) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// ServeHTTP implements http.Handler.
func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	how := f.next()
	switch how {
	case "":
		f.Handler.ServeHTTP(w, r)
		return
	case unavailable:
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	case early:
		panic(http.ErrAbortHandler)
	}
	right := httptest.NewRecorder()
	f.Handler.ServeHTTP(right, r)
	body := right.Body.Bytes()
	for name, values := range right.Header() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(right.Code)
	switch how {
	case wrong:
		for i := range body {
			body[i] ^= 0x55
		}
		_, _ = w.Write(body)
	case truncated, reset:
		_, _ = w.Write(body[:len(body)/2])
		if how == reset {
			hangUp(w)
		}
		panic(http.ErrAbortHandler)
	}
}

// hangUp lets the connection end with a reset.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// TestAWrongAnswerOfTheOrigin lets every answer of the bucket be wrong once, in several ways, while a mirror gets a snapshot. Nothing
// of it shows but in the time that it takes; only a pointer that is none, from the one source that there is, ends the run.
func TestAWrongAnswerOfTheOrigin(t *testing.T) {
	for _, how := range []answer{unavailable, truncated, wrong, reset, early} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			b.size = 1<<20 + 321
			origin := &flaky{Handler: b}
			server := httptest.NewServer(origin)
			defer server.Close()
			b.url = server.URL
			pub := b.publish(1)
			for n, last := 1, false; !last; n++ {
				if how == wrong && n%every(3) != 1%every(3) {
					continue // whoever sends a wrong piece is left alone for long
				}
				t.Run(fmt.Sprintf("answer %d", n), func(t *testing.T) { last = answerWrongly(t, b, origin, pub, n, how) })
			}
		})
	}
}

// answerWrongly reports whether n is the last answer.
func answerWrongly(t *testing.T, b *bed, origin *flaky, pub published, n int, how answer) (last bool) {
	dir := t.TempDir()
	origin.begin(n, how)
	code, stdout, stderr := mirror(t.Context(), b.args(dir, "--once", "--stall-timeout", "60s"))
	last = code == daemon.ExitOK && origin.count() <= n
	if n == 1 && how == wrong {
		if code != daemon.ExitRefused {
			t.Errorf("a pointer that is none: exit code %d, want %d: %s", code, daemon.ExitRefused, stderr)
		}
		code, stdout, stderr = mirror(t.Context(), b.args(dir, "--once"))
	}
	if code != daemon.ExitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	wantOnly(t, stdout, pub.archive)
	return last
}
