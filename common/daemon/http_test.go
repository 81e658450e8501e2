package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"snapswarm/common/daemon"
)

func TestListenSaysWhichSettingAndAddress(t *testing.T) {
	taken, err := daemon.Listen(t.Context(), "HTTP_ADDR", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	_, err = daemon.Listen(t.Context(), "HTTP_ADDR", daemon.Addr(addr))
	if want := "HTTP_ADDR: " + addr + " is taken by another program: stop that one or choose another address"; err == nil || err.Error() != want {
		t.Errorf("Listen = %v, want %s", err, want)
	}
	_, err = daemon.Listen(t.Context(), "HTTP_ADDR", "192.0.2.1:80")
	if err == nil || !strings.HasPrefix(err.Error(), "HTTP_ADDR: ") {
		t.Errorf("Listen on a foreign address = %v, want an error that names HTTP_ADDR", err)
	}
}

func TestOps(t *testing.T) {
	var h daemon.Health
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "up 1") })
	ops, err := daemon.ListenOps(t.Context(), "127.0.0.1:0", &h, metrics, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, ops.Run)
	for path, want := range map[string]string{"/livez": "ok\n", "/readyz": "ok\n", "/metrics": "up 1\n"} {
		if code, body := get(t, "http://"+ops.Addr().String()+path); code != 200 || body != want {
			t.Errorf("GET %s = %d %q, want 200 %q", path, code, body, want)
		}
	}
	if _, err := daemon.ListenOps(t.Context(), daemon.OptionalAddr(ops.Addr().String()), &h, nil, slog.New(slog.DiscardHandler)); err == nil || !strings.HasPrefix(err.Error(), "METRICS_ADDR: ") {
		t.Errorf("ListenOps on a taken address = %v, want an error that names METRICS_ADDR", err)
	}
	if err := stop(); err != nil {
		t.Errorf("Run = %v after a graceful stop", err)
	}
	h.Ready("work", func(context.Context) (string, error) { return "fine", nil })
	for path, want := range map[string]struct {
		code int
		body string
	}{"/livez": {200, "ok\n"}, "/readyz": {503, "[-] stopping: the process was asked to end\nfailed\n"}} {
		if code, body := get(t, "http://"+ops.Addr().String()+path); code != want.code || body != want.body {
			t.Errorf("GET %s while stopping = %d %q, want %d %q", path, code, body, want.code, want.body)
		}
	}
	for range 2 {
		if err := ops.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
	waitRefused(t, ops.Addr().String())
}

func TestOpsClosedBeforeTheyRun(t *testing.T) {
	ops, err := daemon.ListenOps(t.Context(), "127.0.0.1:0", new(daemon.Health), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := ops.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if err := ops.Run(t.Context()); err != nil {
		t.Errorf("Run = %v after Close", err)
	}
}

func TestOpsDisabled(t *testing.T) {
	ops, err := daemon.ListenOps(t.Context(), "", new(daemon.Health), nil, slog.New(slog.DiscardHandler))
	if err != nil || ops.Addr() != nil {
		t.Fatalf("ListenOps = %v, %v, want no address", ops.Addr(), err)
	}
	if err := start(t, ops.Run)(); err != nil {
		t.Errorf("Run = %v", err)
	}
}

// start runs f until stop is called, which returns what f returned.
func start(t *testing.T, f func(context.Context) error) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	return func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(20 * time.Second):
			return errors.New("does not end with its context")
		}
	}
}

// A request under way at the stop is finished within the grace, and cut off after it; new ones are refused.
func TestServeHTTPGrace(t *testing.T) {
	for _, tc := range []struct {
		name     string
		grace    time.Duration
		finished bool
	}{{"finished within the grace", 20 * time.Second, true}, {"cut off after it", 50 * time.Millisecond, false}} {
		t.Run(tc.name, func(t *testing.T) {
			ln, err := daemon.Listen(t.Context(), "HTTP_ADDR", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			began, goOn := make(chan struct{}), make(chan struct{})
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprint(w, "first half,")
				_ = http.NewResponseController(w).Flush()
				close(began)
				select {
				case <-goOn:
				case <-r.Context().Done():
					panic(http.ErrAbortHandler)
				}
				fmt.Fprint(w, " second half")
			})
			stop := start(t, func(ctx context.Context) error {
				return daemon.ServeHTTP(ctx, ln, &http.Server{Handler: handler}, daemon.Drain{Grace: tc.grace})
			})
			body := make(chan string, 1)
			go func() { body <- readAll(t, "http://"+ln.Addr().String()) }()
			<-began
			stopped := make(chan error, 1)
			go func() { stopped <- stop() }()
			waitRefused(t, ln.Addr().String())
			if tc.finished {
				close(goOn)
			}
			if err := <-stopped; err != nil {
				t.Errorf("ServeHTTP = %v", err)
			}
			if got := <-body; (got == "first half, second half") != tc.finished {
				t.Errorf("body %q, want it finished: %v", got, tc.finished)
			}
		})
	}
}

// Whoever has not heard yet that the process stops is still served during the notice, on a connection that is not kept.
func TestServeHTTPNotice(t *testing.T) {
	ln, err := daemon.Listen(t.Context(), "HTTP_ADDR", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") })}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- daemon.ServeHTTP(ctx, ln, srv, daemon.Drain{Notice: 3 * time.Second, Grace: time.Second})
	}()
	cancel()
	resp, err := http.Get("http://" + ln.Addr().String()) //nolint:noctx // its context is the server's
	if err != nil {
		t.Fatalf("GET during the notice: %v", err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "hello" || err != nil || !resp.Close {
		t.Errorf("GET during the notice = %q, %v, Connection: close %v, want hello on a connection that is closed then", body, err, resp.Close)
	}
	if err := <-served; err != nil {
		t.Errorf("ServeHTTP = %v", err)
	}
	waitRefused(t, ln.Addr().String())
}

func TestServeHTTPReportsABrokenListener(t *testing.T) {
	ln, err := daemon.Listen(t.Context(), "HTTP_ADDR", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := daemon.ServeHTTP(t.Context(), ln, new(http.Server), daemon.Drain{Grace: time.Second}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("ServeHTTP = %v, want %v", err, net.ErrClosed)
	}
}

// readAll returns what came before the connection ended, well or not.
func readAll(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return ""
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

// waitRefused returns once nothing listens at addr.
func waitRefused(t *testing.T, addr string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	var d net.Dialer
	for time.Now().Before(deadline) {
		conn, err := d.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			return
		}
		conn.Close()
	}
	t.Fatalf("%s still accepts connections", addr)
}
