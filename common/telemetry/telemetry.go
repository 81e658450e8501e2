// Package telemetry connects a process to whoever watches it: metrics for Prometheus, and metrics, traces and logs for
// OpenTelemetry collectors. Its Start is the first thing that a command does, and makes the log on the terminal, too.
//
// Other packages use the API of OpenTelemetry only (otel.Meter, otel.Tracer) and declare their own instruments, with
// their own bucket boundaries; this one owns the SDK and the exporters. What is exported is decided by OpenTelemetry's
// own environment variables: OTEL_EXPORTER_OTLP_ENDPOINT (or its variant for one signal) turns OTLP on,
// OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER and OTEL_LOGS_EXPORTER choose others, OTEL_SDK_DISABLED=true turns all of
// them off. Without any of these nothing leaves the process. Prometheus is always served, by Listen.
//
// A wrong setting or a collector that is away is reported in the log and otherwise has no effect: telemetry never stops
// or blocks the work.
package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"snapswarm/common/daemon"
)

// shutdownTimeout is how long the last records may take to reach a collector when the process ends.
const shutdownTimeout = 2 * time.Second

// Telemetry is how a process is watched: its log, its metrics, its health.
type Telemetry struct {
	// Log goes to the terminal, and also to the collector when logs are exported. The level of the process holds for both.
	Log *slog.Logger
	// Health is what the process says of itself on METRICS_ADDR.
	Health daemon.Health

	service   service
	terminal  *slog.Logger // for problems of telemetry itself, which a collector would not get
	prom      http.Handler
	shutdowns []func(context.Context) error
}

// service says who is watched.
type service struct{ name, version string }

// Start makes the log of a process and installs the providers behind the API of OpenTelemetry, which are global by its
// design. The name is "producer", "mirror" or "gateway"; OTEL_SERVICE_NAME overrides it for OpenTelemetry. Call it once,
// early in main, and Close at the end. Its error means that the metrics of the process itself cannot be registered, and is
// a mistake in this program, not in its configuration.
func Start(ctx context.Context, name string, terminal *daemon.Terminal, p daemon.Process) (*Telemetry, error) {
	log := daemon.NewLogger(terminal, p)
	otel.SetErrorHandler(newErrorHandler(log))
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))
	t := &Telemetry{Log: log, service: service{name, daemon.ReadBuild().Version}, terminal: log}
	res := t.newResource(ctx)
	if err := t.setupMetrics(ctx, res); err != nil {
		return nil, err
	}
	t.setupTraces(ctx, res)
	t.setupLogs(ctx, res)
	return t, nil
}

// Listen opens METRICS_ADDR for Health and for the metrics in the format of Prometheus, so that a taken address is known
// before the process starts to work. The caller runs or closes what it returns.
func (t *Telemetry) Listen(ctx context.Context, addr daemon.OptionalAddr) (*daemon.Ops, error) {
	return daemon.ListenOps(ctx, addr, &t.Health, t.prom, t.Log)
}

// Close sends what is pending, for a few seconds at most, and stops. What was lost is mentioned in the log; there is nothing
// else to do about it. A ctx that has ended already does not matter.
func (t *Telemetry) Close(ctx context.Context) {
	if err := t.shutdown(ctx); err != nil {
		t.terminal.WarnContext(ctx, "telemetry was lost", "error", err)
	}
}

func (t *Telemetry) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	errs := make(chan error, len(t.shutdowns))
	for _, shutdown := range t.shutdowns {
		go func() { errs <- shutdown(ctx) }()
	}
	var err error
	for range t.shutdowns {
		err = errors.Join(err, <-errs)
	}
	return err
}

// wanted reports whether the environment asks for an exporter of signal, "TRACES", "METRICS" or "LOGS". Package
// autoexport takes OTLP to localhost for the default; ours is nothing.
func wanted(signal string) bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	if exporter := os.Getenv("OTEL_" + signal + "_EXPORTER"); exporter != "" {
		return exporter != "none"
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
}

func (t *Telemetry) newResource(ctx context.Context) *resource.Resource {
	res, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", t.service.name),
			attribute.String("service.namespace", "snapswarm"),
			attribute.String("service.version", t.service.version)),
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithFromEnv()) // last, so that it wins
	if err != nil {
		t.terminal.WarnContext(ctx, "telemetry: describe this process", "err", err)
	}
	return res
}

func (t *Telemetry) setupTraces(ctx context.Context, res *resource.Resource) {
	if !wanted("TRACES") {
		return
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		t.terminal.ErrorContext(ctx, "telemetry: traces are not exported: check OTEL_TRACES_EXPORTER and OTEL_EXPORTER_OTLP_*", "err", err)
		return
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res))
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	t.shutdowns = append(t.shutdowns, provider.Shutdown)
}

func (t *Telemetry) setupLogs(ctx context.Context, res *resource.Resource) {
	if !wanted("LOGS") {
		return
	}
	exporter, err := autoexport.NewLogExporter(ctx)
	if err != nil {
		t.terminal.ErrorContext(ctx, "telemetry: logs are not exported: check OTEL_LOGS_EXPORTER and OTEL_EXPORTER_OTLP_*", "err", err)
		return
	}
	provider := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)), sdklog.WithResource(res))
	t.shutdowns = append(t.shutdowns, provider.Shutdown)
	bridge := otelslog.NewHandler(t.service.name, otelslog.WithLoggerProvider(provider))
	t.Log = slog.New(slog.NewMultiHandler(t.terminal.Handler(), leveled{bridge, t.terminal.Handler()}))
}

// leveled is a handler that is enabled where another one is.
type leveled struct {
	slog.Handler
	level slog.Handler
}

func (h leveled) Enabled(ctx context.Context, l slog.Level) bool {
	return h.level.Enabled(ctx, l) && h.Handler.Enabled(ctx, l)
}

func (h leveled) WithAttrs(attrs []slog.Attr) slog.Handler {
	return leveled{h.Handler.WithAttrs(attrs), h.level}
}

func (h leveled) WithGroup(name string) slog.Handler {
	return leveled{h.Handler.WithGroup(name), h.level}
}
