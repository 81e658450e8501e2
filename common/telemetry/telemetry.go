// Package telemetry connects a process to whoever watches it: metrics for Prometheus, and metrics, traces and logs for
// OpenTelemetry collectors.
//
// Other packages use the API of OpenTelemetry only (otel.Meter, otel.Tracer) and declare their own instruments, with
// their own bucket boundaries; this one owns the SDK and the exporters. What is exported is decided by OpenTelemetry's
// own environment variables: OTEL_EXPORTER_OTLP_ENDPOINT (or its variant for one signal) turns OTLP on,
// OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER and OTEL_LOGS_EXPORTER choose others, OTEL_SDK_DISABLED=true turns all of
// them off. Without any of these nothing leaves the process. Prometheus is always served, by Handler.
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
)

// shutdownTimeout is how long the last records may take to reach a collector when the process ends.
const shutdownTimeout = 3 * time.Second

// Config says who is watched.
type Config struct {
	Service string       // "producer", "mirror", "gateway"; OTEL_SERVICE_NAME overrides it for OpenTelemetry
	Version string       // of the program
	Log     *slog.Logger // where problems of telemetry itself are reported
}

// Telemetry is what Setup started.
type Telemetry struct {
	service   string
	prom      http.Handler
	logs      *sdklog.LoggerProvider // nil: logs are not exported
	shutdowns []func(context.Context) error
}

// Setup installs the providers behind the API of OpenTelemetry, which are global by its design. Call it once, early in
// main; call Shutdown at the end. Its error means that the metrics of the process itself cannot be registered, and is a
// mistake in this program, not in its configuration.
func Setup(ctx context.Context, cfg Config) (*Telemetry, error) {
	otel.SetErrorHandler(newErrorHandler(cfg.Log))
	otel.SetLogger(logr.FromSlogHandler(cfg.Log.Handler()))
	res := newResource(ctx, cfg)
	t := &Telemetry{service: cfg.Service}
	if err := t.setupMetrics(ctx, cfg, res); err != nil {
		return nil, err
	}
	t.setupTraces(ctx, cfg.Log, res)
	t.setupLogs(ctx, cfg.Log, res)
	return t, nil
}

// Handler serves the metrics of the process in the format of Prometheus.
func (t *Telemetry) Handler() http.Handler { return t.prom }

// Logger returns a logger that writes to base, and also to the collector when logs are exported. The level of base
// holds for both.
func (t *Telemetry) Logger(base *slog.Logger) *slog.Logger {
	if t.logs == nil {
		return base
	}
	bridge := otelslog.NewHandler(t.service, otelslog.WithLoggerProvider(t.logs))
	return slog.New(slog.NewMultiHandler(base.Handler(), leveled{bridge, base.Handler()}))
}

// Shutdown sends what is pending, for a few seconds at most, and stops. The error says what was lost; there is nothing
// to do about it but to mention it. A ctx that has ended already does not matter.
func (t *Telemetry) Shutdown(ctx context.Context) error {
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

func newResource(ctx context.Context, cfg Config) *resource.Resource {
	res, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", cfg.Service),
			attribute.String("service.namespace", "snapswarm"),
			attribute.String("service.version", cfg.Version)),
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithFromEnv()) // last, so that it wins
	if err != nil {
		cfg.Log.WarnContext(ctx, "telemetry: describe this process", "err", err)
	}
	return res
}

func (t *Telemetry) setupTraces(ctx context.Context, log *slog.Logger, res *resource.Resource) {
	if !wanted("TRACES") {
		return
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		log.ErrorContext(ctx, "telemetry: traces are not exported: check OTEL_TRACES_EXPORTER and OTEL_EXPORTER_OTLP_*", "err", err)
		return
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(res))
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	t.shutdowns = append(t.shutdowns, provider.Shutdown)
}

func (t *Telemetry) setupLogs(ctx context.Context, log *slog.Logger, res *resource.Resource) {
	if !wanted("LOGS") {
		return
	}
	exporter, err := autoexport.NewLogExporter(ctx)
	if err != nil {
		log.ErrorContext(ctx, "telemetry: logs are not exported: check OTEL_LOGS_EXPORTER and OTEL_EXPORTER_OTLP_*", "err", err)
		return
	}
	t.logs = sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)), sdklog.WithResource(res))
	t.shutdowns = append(t.shutdowns, t.logs.Shutdown)
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
