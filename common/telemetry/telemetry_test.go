package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"snapswarm/common/daemon"
	"snapswarm/common/telemetry"
)

// The tests set up global providers and the environment, so none of them is parallel.

func setup(t *testing.T, env map[string]string) (*telemetry.Telemetry, *logBuffer) {
	t.Helper()
	for _, key := range []string{
		"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER",
		"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_SERVICE_NAME",
	} {
		t.Setenv(key, env[key])
	}
	log := new(logBuffer)
	tel, err := telemetry.Start(t.Context(), "mirror", daemon.NewTerminal(log), daemon.Process{LogFormat: "json"})
	if err != nil {
		t.Fatal(err)
	}
	return tel, log
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// own is the log without what Listen says, and without the last words of exporters that an earlier test gave up: the error
// handler is global, so they come to whichever test runs then. A test without exporters has none of its own.
func (b *logBuffer) own() string {
	var own strings.Builder
	for line := range strings.Lines(b.String()) {
		if !strings.Contains(line, `Post \"http://127.0.0.1:`) && !strings.Contains(line, `"health and metrics"`) {
			own.WriteString(line)
		}
	}
	return own.String()
}

// scrape reads the metrics as Prometheus does.
func scrape(t *testing.T, tel *telemetry.Telemetry) string {
	t.Helper()
	ops, err := tel.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- ops.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v", err)
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ops.Addr().String()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("GET /metrics = %s %q, %v", res.Status, b, err)
	}
	return string(b)
}

func TestPrometheusIsServedWithoutAnyConfiguration(t *testing.T) {
	tel, log := setup(t, nil)
	meter := otel.Meter("snapswarm/test")
	counter, err := meter.Int64Counter("snapswarm.test.bytes", metric.WithUnit("By"))
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 42)
	duration, err := meter.Float64Histogram("http.server.request.duration", metric.WithUnit("s"))
	if err != nil {
		t.Fatal(err)
	}
	duration.Record(t.Context(), 5000)
	own, err := meter.Float64Histogram("snapswarm.test.wait", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(7, 8))
	if err != nil {
		t.Fatal(err)
	}
	own.Record(t.Context(), 1)
	got := scrape(t, tel)
	for _, want := range []string{
		`snapswarm_build_info{goversion="go1.`, `service="mirror",version="` + daemon.ReadBuild().Version + `"} 1`,
		"snapswarm_test_bytes_total 42\n",
		`http_server_request_duration_seconds_bucket{le="3600"} 0`, `http_server_request_duration_seconds_bucket{le="21600"} 1`,
		`snapswarm_test_wait_seconds_bucket{le="7"} 1`,
		"go_goroutines ", "process_cpu_seconds_total ", `service_name="mirror"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if strings.Contains(got, "otel_scope_name") {
		t.Error("/metrics repeats the instrumentation scope on every series")
	}
	tel.Close(t.Context())
	if own := log.own(); own != "" {
		t.Errorf("log: %s", own)
	}
}

// collector counts what an OTLP endpoint over HTTP receives.
type collector struct {
	mu     sync.Mutex
	bodies map[string]string // path -> everything received there
}

func (c *collector) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies[r.URL.Path] += string(b)
}

func TestEverySignalReachesACollector(t *testing.T) {
	c := &collector{bodies: make(map[string]string)}
	server := httptest.NewServer(c)
	defer server.Close()
	tel, log := setup(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL, "OTEL_SERVICE_NAME": "my-mirror"})

	_, span := otel.Tracer("snapswarm/test").Start(t.Context(), "fetch-the-piece")
	span.End()
	counter, err := otel.Meter("snapswarm/test").Int64Counter("snapswarm.test.exported")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 1)
	logger := tel.Log.With("salt", "daily")
	logger.Info("snapshot complete")
	logger.Debug("below the level of the process")
	tel.Close(t.Context())

	c.mu.Lock()
	defer c.mu.Unlock()
	for path, want := range map[string]string{
		"/v1/traces": "fetch-the-piece", "/v1/metrics": "snapswarm.test.exported", "/v1/logs": "snapshot complete",
	} {
		for _, want := range []string{want, "my-mirror", daemon.ReadBuild().Version} {
			if !strings.Contains(c.bodies[path], want) {
				t.Errorf("%s lacks %q", path, want)
			}
		}
	}
	if strings.Contains(c.bodies["/v1/logs"], "below") {
		t.Error("the level of the process does not hold for the collector")
	}
	if own := log.own(); !strings.Contains(own, "snapshot complete") || strings.Contains(own, "telemetry") {
		t.Errorf("the terminal got %s, want the line and no complaint", own)
	}
}

func TestNothingLeavesAProcessWithTheSDKDisabled(t *testing.T) {
	c := &collector{bodies: make(map[string]string)}
	server := httptest.NewServer(c)
	defer server.Close()
	tel, log := setup(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL, "OTEL_SDK_DISABLED": "true"})
	tel.Log.Info("snapshot complete")
	tel.Close(t.Context())
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.bodies) != 0 || !strings.Contains(log.String(), "snapshot complete") {
		t.Errorf("the collector got %v, the terminal %s", c.bodies, log)
	}
}

// A collector that accepts connections and never answers, and one that is not there: neither delays the work, and the
// end of the process only a little.
func TestBrokenCollectorsDoNotMatter(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for name, env := range map[string]map[string]string{
		"silent, http": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + silent.Addr().String()},
		"silent, grpc": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + silent.Addr().String(), "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
		"absent":       {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			begin := time.Now()
			tel, log := setup(t, env)
			for range 10_000 { // more than the queues hold
				_, span := otel.Tracer("snapswarm/test").Start(t.Context(), "work")
				span.End()
				tel.Log.Info("work")
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("the work took %v", took)
			}
			begin = time.Now()
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			tel.Close(ended)
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("Close took %v", took)
			}
			if !strings.Contains(log.String(), `"msg":"telemetry`) {
				t.Error("nobody was told that telemetry was lost")
			}
		})
	}
}

func TestWrongExporterIsReportedAndIgnored(t *testing.T) {
	tel, log := setup(t, map[string]string{
		"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_METRICS_EXPORTER": "bogus", "OTEL_LOGS_EXPORTER": "bogus",
	})
	scrape(t, tel)
	dec := json.NewDecoder(strings.NewReader(log.String()))
	var messages []string
	for {
		var line struct{ Level, Msg string }
		if err := dec.Decode(&line); err != nil {
			break
		}
		messages = append(messages, line.Level+" "+line.Msg)
	}
	for _, want := range []string{"OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"} {
		if !strings.Contains(strings.Join(messages, "\n"), want) {
			t.Errorf("no message names %s: %q", want, messages)
		}
	}
	tel.Close(t.Context())
}
