package stack_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"snapswarm/docker/stack"
)

// TestMain lets the test binary stand in for the three commands: under their names, and with FAKE in the environment,
// it shows its settings, says that it is ready, and ends as FAKE tells.
func TestMain(m *testing.M) {
	if mode := os.Getenv("FAKE"); mode != "" {
		os.Exit(fake(mode))
	}
	os.Exit(m.Run())
}

func fake(mode string) int {
	fmt.Println("called as", filepath.Base(os.Args[0]), strings.Join(os.Args[1:], " "))
	for _, entry := range os.Environ() {
		fmt.Println("env", entry)
	}
	if mode == "fail" {
		fmt.Println("fake: no luck today")
		return 3
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	http.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "[+] all: well") })
	http.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "# HELP bytes Bytes.\nbytes{source=\"peers\",channel=\"a\"} 40\nbytes{source=\"peers\",channel=\"b\"} 2\n"+
			"bytes{source=\"origin\",channel=\"a\"} 100\nbytes_total 7\nplain 1e+06")
	})
	go func() { _ = http.ListenAndServe(os.Getenv("METRICS_ADDR"), nil) }()
	for range stop {
		if mode != "deaf" {
			return 0
		}
	}
	return 0
}

// start starts a stack whose commands are this test binary.
func start(t *testing.T, output *output) *stack.Stack {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for _, name := range []string{"producer", "mirror", "gateway"} {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := stack.Start(t.Context(), stack.Config{
		Dir: filepath.Join(t.TempDir(), "swarm"), Bin: bin, Output: output, Grace: 3 * time.Second, Env: stack.Env{"FAKE": "run"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// output collects lines.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Split(o.b.String(), "\n")
}

func TestProcessesGetTheirSettingsAndNoOthers(t *testing.T) {
	t.Setenv("CHANNEL", "of the operator")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
	t.Setenv("OTEL_SERVICE_NAME", "mine")
	ctx, out := t.Context(), &output{}
	s := start(t, out)
	p, err := s.Producer(ctx, "producer", "some/source", nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Mirror(ctx, "second", stack.Env{"RETAIN": "3", "POLL_INTERVAL": "9s"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Ready(ctx), m.Ready(ctx)); err != nil {
		t.Fatal(err)
	}
	lines := out.lines()
	for _, want := range []string{
		"producer | called as producer serve",
		"producer | env AUTHORITY_KEY_FILE=" + s.KeyFile,
		"producer | env DHT_SALT=demo",
		"producer | env BUCKET=s3://snapshots",
		"producer | env S3_SECRET_ACCESS_KEY=" + s.S3.SecretKey,
		"producer | env OTEL_SERVICE_NAME=mine",
		"second | called as mirror ",
		"second | env CHANNEL=" + s.Channel.String(),
		"second | env BUCKET_URL=" + s.BucketURL(),
		"second | env SEED_PEERS=" + p.PeerAddr,
		"second | env LISTEN_ADDR=" + m.PeerAddr,
		"second | env DHT_BOOTSTRAP=" + s.Bootstrap(),
		"second | env ALLOW_PRIVATE=true",
		"second | env RETAIN=3",
		"second | env POLL_INTERVAL=9s",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q", want)
		}
	}
	for _, line := range lines {
		if strings.Contains(line, "hunter2") || strings.Contains(line, "of the operator") {
			t.Errorf("a setting of ours leaks: %s", line)
		}
		if strings.Contains(line, "SNAPSHOT_SOURCE") && !strings.HasSuffix(line, "docker/stack/some/source") {
			t.Errorf("%s: want the path from before the storage changed the working directory", line)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	for _, p := range s.Processes() {
		if p.ExitCode() != 0 {
			t.Errorf("%s ended with code %d, want it stopped in order", p.Name, p.ExitCode())
		}
	}
}

func TestProcessThatFailsIsExplained(t *testing.T) {
	ctx := t.Context()
	s := start(t, &output{})
	m, err := s.Mirror(ctx, "mirror", stack.Env{"FAKE": "fail"})
	if err != nil {
		t.Fatal(err)
	}
	err = m.Ready(ctx)
	if !errors.Is(err, stack.ErrExited) || !strings.Contains(err.Error(), "no luck today") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Ready: %v, want one line with ErrExited and its last words", err)
	}
	var exit *stack.ExitError
	if err := m.Wait(ctx); !errors.As(err, &exit) || m.ExitCode() != 3 {
		t.Errorf("Wait: %v with code %d, want an ExitError and 3", err, m.ExitCode())
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v, want none: the process had ended before", err)
	}
}

func TestStartedAgainAProcessIsTheSame(t *testing.T) {
	ctx, out := t.Context(), &output{}
	s := start(t, out)
	listen := "127.0.0.1:4711"
	m, err := s.Mirror(ctx, "mirror", stack.Env{"LISTEN_ADDR": listen, "RETAIN": "3"})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Ready(ctx), m.Kill()); err != nil {
		t.Fatal(err)
	}
	again, err := s.Again(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if again.PeerAddr != listen || again.OpsURL != m.OpsURL || again.DataDir != m.DataDir || again.PID() == m.PID() {
		t.Errorf("started again it is %+v, before %+v; want the same but for the PID", again, m)
	}
	for _, want := range []string{"mirror | env LISTEN_ADDR=" + listen, "mirror | env RETAIN=3"} {
		if n := strings.Count(strings.Join(out.lines(), "\n")+"\n", want+"\n"); n != 2 {
			t.Errorf("%q is there %d times, want it twice", want, n)
		}
	}
	if got := s.Processes(); len(got) != 1 || got[0] != again {
		t.Errorf("Processes = %v, want the new one alone", got)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestDeafProcessIsKilled(t *testing.T) {
	ctx := t.Context()
	s := start(t, &output{})
	g, err := s.Gateway(ctx, "gateway", "127.0.0.1:0", stack.Env{"FAKE": "deaf"})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Close: %v, want one that says so", err)
	}
	select {
	case <-g.Done():
	default:
		t.Error("the process still runs")
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	s := start(t, &output{})
	m, err := s.Mirror(t.Context(), "mirror", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = m.Until(ctx, "blue", func(context.Context) bool { return false })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Until: %v, want the context's error", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestRunReturnsWhatACommandLeft(t *testing.T) {
	s := start(t, &output{})
	r, err := s.Run(t.Context(), "status", "producer", []string{"status"}, stack.Env{"FAKE": "fail"})
	if err != nil || r.Code != 3 || !strings.Contains(r.Stdout, "called as producer status") {
		t.Errorf("Run = %+v, %v; want code 3 and the output", r, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestMetric(t *testing.T) {
	ctx := t.Context()
	s := start(t, &output{})
	m, err := s.Mirror(ctx, "mirror", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"bytes", nil, 142},
		{"bytes", []string{`source="peers"`}, 42},
		{"bytes", []string{`source="peers"`, `channel="b"`}, 2},
		{"bytes", []string{`source="disk"`}, 0},
		{"bytes_total", nil, 7},
		{"plain", nil, 1e6},
		{"none", nil, 0},
	} {
		if got, err := m.Metric(ctx, test.name, test.labels...); err != nil || got != test.want {
			t.Errorf("Metric(%s, %q) = %v, %v; want %v", test.name, test.labels, got, err, test.want)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestStartedAgainItIsTheSameChannelAndBucket(t *testing.T) {
	cfg := stack.Config{Dir: t.TempDir(), Salt: "chain"}
	var before *stack.Stack
	for range 2 {
		s, err := stack.Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if before != nil && (s.Channel != before.Channel || s.BucketURL() != before.BucketURL() || s.S3.SecretKey != before.S3.SecretKey) {
			t.Errorf("the second time it is %v at %s, want %v at %s", s.Channel, s.BucketURL(), before.Channel, before.BucketURL())
		}
		if records, err := s.Lookup(t.Context(), s.Channel); err != nil || len(records) != 0 {
			t.Errorf("Lookup = %v, %v; want nothing and no error", records, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		before = s
	}
}
