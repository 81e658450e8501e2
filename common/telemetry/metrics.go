package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

func (t *Telemetry) setupMetrics(ctx context.Context, res *resource.Resource) error {
	registry := prometheus.NewRegistry()
	reader, err := promexporter.New(promexporter.WithRegisterer(registry), promexporter.WithoutScopeInfo())
	if err != nil {
		return fmt.Errorf("set up Prometheus metrics: %w", err)
	}
	if err := t.service.register(registry); err != nil {
		return fmt.Errorf("register process metrics: %w", err)
	}
	options := append(views(), sdkmetric.WithReader(reader), sdkmetric.WithResource(res))
	if wanted("METRICS") {
		exporter, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			t.terminal.ErrorContext(ctx, "telemetry: metrics are not exported: check OTEL_METRICS_EXPORTER and OTEL_EXPORTER_OTLP_*", "err", err)
		} else {
			options = append(options, sdkmetric.WithReader(exporter))
		}
	}
	provider := sdkmetric.NewMeterProvider(options...)
	otel.SetMeterProvider(provider)
	t.shutdowns = append(t.shutdowns, provider.Shutdown)
	t.prom = promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(t.terminal.Handler(), slog.LevelWarn),
		ErrorHandling:       promhttp.ContinueOnError, // one broken metric must not hide the others
		MaxRequestsInFlight: 4,
	})
	return nil
}

// register adds what every process has: Go runtime, file descriptors and memory, and which build it is.
func (s service) register(registry *prometheus.Registry) error {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "snapswarm_build_info",
		Help:        "Always 1; the labels say which program this is.",
		ConstLabels: prometheus.Labels{"service": s.name, "version": s.version, "goversion": runtime.Version()},
	})
	build.Set(1)
	for _, c := range []prometheus.Collector{
		build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// views gives the histograms of package otelhttp boundaries that fit here: its defaults end at ten seconds and ten
// kilobytes, our downloads at hours and gigabytes. Our own packages set boundaries with their instruments, where a view
// by unit would override them.
func views() []sdkmetric.Option {
	seconds := []float64{0.005, 0.025, 0.1, 0.25, 1, 2.5, 10, 60, 600, 3600, 6 * 3600}
	sizes := []float64{1 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20, 4 << 30, 64 << 30}
	var options []sdkmetric.Option
	for name, boundaries := range map[string][]float64{
		"http.*.request.duration":   seconds,
		"http.*.request.body.size":  sizes,
		"http.*.response.body.size": sizes,
	} {
		options = append(options, sdkmetric.WithView(sdkmetric.NewView(
			sdkmetric.Instrument{Name: name},
			sdkmetric.Stream{Aggregation: sdkmetric.AggregationExplicitBucketHistogram{Boundaries: boundaries}},
		)))
	}
	return options
}
