package serve

import (
	"context"
	"errors"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const meterName = "snapswarm/gateway/serve"

// metrics are the instruments of a handler. Attributes: route (its template) and status class, both of a handful of values.
type metrics struct {
	requests  metric.Int64Counter
	active    metric.Int64UpDownCounter
	sent      metric.Int64Counter
	firstByte metric.Float64Histogram
}

func newMetrics() (*metrics, error) {
	meter := otel.Meter(meterName)
	requests, err1 := meter.Int64Counter("snapswarm.gateway.requests",
		metric.WithDescription("Requests by route and class of status, or how they were cut off: gone, stalled, broken."),
		metric.WithUnit("{request}"))
	active, err2 := meter.Int64UpDownCounter("snapswarm.gateway.requests.active",
		metric.WithDescription("Requests that are being answered now."),
		metric.WithUnit("{request}"))
	sent, err3 := meter.Int64Counter("snapswarm.gateway.sent",
		metric.WithDescription("Bytes of responses handed to the network, without headers."),
		metric.WithUnit("By"))
	firstByte, err4 := meter.Float64Histogram("snapswarm.gateway.first_byte",
		metric.WithDescription("Time from the request to the first byte of a snapshot."),
		metric.WithUnit("s"),
		// From a file that is here to the limit at which waiting ends.
		metric.WithExplicitBucketBoundaries(.001, .005, .02, .1, .5, 1, 5, 20, 60))
	return &metrics{requests, active, sent, firstByte}, errors.Join(err1, err2, err3, err4)
}

func (m *metrics) request(ctx context.Context, route, class string) {
	m.requests.Add(ctx, 1, metric.WithAttributeSet(attribute.NewSet(attribute.String("route", route), attribute.String("status", class))))
}

func (m *metrics) first(ctx context.Context, since time.Time) {
	m.firstByte.Record(ctx, time.Since(since).Seconds())
}

// statusClass is "2xx" for 206 and so on.
func statusClass(status int) string { return strconv.Itoa(status/100) + "xx" }
