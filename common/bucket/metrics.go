package bucket

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const meterName = "snapswarm/common/bucket"

// metrics are the instruments of one store. Attributes: operation and result, both of a handful of values.
type metrics struct {
	requests metric.Int64Counter
	duration metric.Float64Histogram
	sent     metric.Int64Counter
}

func newMetrics() (*metrics, error) {
	meter := otel.Meter(meterName)
	requests, err1 := meter.Int64Counter("snapswarm.bucket.requests",
		metric.WithDescription("Requests to the bucket, each attempt counted, by operation and result."),
		metric.WithUnit("{request}"))
	duration, err2 := meter.Float64Histogram("snapswarm.bucket.request.duration",
		metric.WithDescription("Time from the beginning of a request to its answer."),
		metric.WithUnit("s"),
		// From a local server's milliseconds to a part on a slow uplink.
		metric.WithExplicitBucketBoundaries(.005, .02, .1, .5, 1, 5, 20, 60, 300, 1200))
	sent, err3 := meter.Int64Counter("snapswarm.bucket.uploaded",
		metric.WithDescription("Bytes of object data handed to the network or file system, repeated parts included."),
		metric.WithUnit("By"))
	return &metrics{requests: requests, duration: duration, sent: sent}, errors.Join(err1, err2, err3)
}

func (m *metrics) request(ctx context.Context, op string, begin time.Time, err error) {
	set := metric.WithAttributeSet(attribute.NewSet(attribute.String("operation", op), attribute.String("result", result(err))))
	m.requests.Add(ctx, 1, set)
	m.duration.Record(ctx, time.Since(begin).Seconds(), set)
}

// result is the value of the attribute: few and fixed.
func result(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "canceled"
	case errors.Is(err, ErrNotFound):
		return "not_found"
	case errors.Is(err, ErrPrecondition):
		return "precondition"
	case errors.Is(err, ErrDenied):
		return "denied"
	case errors.Is(err, ErrUnreachable):
		return "unreachable"
	}
	return "error"
}
