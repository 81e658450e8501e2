package pointer

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are this package's instruments. Attributes: result of a round is changed, unchanged,
// not-found, refused or error; reason of a refusal is the kind of its error.
type metrics struct {
	rounds  metric.Float64Histogram
	refused metric.Int64Counter
}

func newMetrics() metrics {
	meter := otel.Meter("snapswarm/common/pointer")
	var m metrics
	// The API returns a working no-op instrument beside any error.
	m.rounds, _ = meter.Float64Histogram("snapswarm.pointer.resolve.duration", metric.WithUnit("s"),
		metric.WithDescription("Time to find the newest pointer over all sources."),
		metric.WithExplicitBucketBoundaries(0.01, 0.05, 0.1, 0.5, 1, 2, 3, 5, 10, 30))
	m.refused, _ = meter.Int64Counter("snapswarm.pointer.refused", metric.WithUnit("{record}"),
		metric.WithDescription("Records found that may not be followed."))
	return m
}

func (m metrics) round(ctx context.Context, r *round, took time.Duration, err error) {
	result := "error"
	switch {
	case err == nil && r.result.Changed:
		result = "changed"
	case err == nil:
		result = "unchanged"
	case errors.Is(err, ErrAllRefused):
		result = "refused"
	case errors.Is(err, ErrNotFound):
		result = "not-found"
	}
	m.rounds.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("result", result)))
	for _, f := range r.result.Refused {
		m.refused.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", reason(f.Err))))
	}
}
