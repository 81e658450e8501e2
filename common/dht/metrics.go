package dht

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are this package's instruments. Attributes have few values: reason is size, address,
// malformed, flood or unasked; query is the name of a known query, or unknown; operation is get or
// put; result is enough, put, newer, alone or failed.
type metrics struct {
	dropped      metric.Int64Counter
	refusedSends metric.Int64Counter
	answered     metric.Int64Counter
	forged       metric.Int64Counter
	operations   metric.Float64Histogram
	reputs       metric.Int64Counter
	holders      metric.Int64Histogram
	gauges       metric.Registration
}

func newMetrics(stats func() Stats) *metrics {
	meter := otel.Meter("snapswarm/common/dht")
	m := new(metrics)
	// The API returns a working no-op instrument beside any error.
	m.dropped, _ = meter.Int64Counter("snapswarm.dht.packets.dropped", metric.WithUnit("{packet}"),
		metric.WithDescription("Packets that were not looked at."))
	m.refusedSends, _ = meter.Int64Counter("snapswarm.dht.sends.refused", metric.WithUnit("{packet}"),
		metric.WithDescription("Packets not sent because of their address."))
	m.answered, _ = meter.Int64Counter("snapswarm.dht.queries.answered", metric.WithUnit("{query}"),
		metric.WithDescription("Queries of other nodes that were answered."))
	m.forged, _ = meter.Int64Counter("snapswarm.dht.records.forged", metric.WithUnit("{record}"),
		metric.WithDescription("Records with a wrong signature that other nodes returned."))
	m.operations, _ = meter.Float64Histogram("snapswarm.dht.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("Time to get or to put a pointer."),
		metric.WithExplicitBucketBoundaries(0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 20, 30, 60))
	m.reputs, _ = meter.Int64Counter("snapswarm.dht.reputs", metric.WithUnit("{reput}"),
		metric.WithDescription("Times that a pointer was looked after, and what came of it."))
	m.holders, _ = meter.Int64Histogram("snapswarm.dht.holders", metric.WithUnit("{node}"),
		metric.WithDescription("How many of the closest nodes held the newest pointer when it was looked after."),
		metric.WithExplicitBucketBoundaries(0, 1, 2, 3, 4, 5, 6, 7))
	m.observe(meter, stats)
	return m
}

func (m *metrics) observe(meter metric.Meter, stats func() Stats) {
	nodes, err1 := meter.Int64ObservableGauge("snapswarm.dht.nodes", metric.WithUnit("{node}"),
		metric.WithDescription("Other nodes that answer."))
	items, err2 := meter.Int64ObservableGauge("snapswarm.dht.items", metric.WithUnit("{item}"),
		metric.WithDescription("Items kept for others."))
	if errors.Join(err1, err2) != nil {
		return
	}
	m.gauges, _ = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := stats()
		o.ObserveInt64(nodes, int64(s.Nodes))
		o.ObserveInt64(items, int64(s.Items))
		return nil
	}, nodes, items)
}

func (m *metrics) close() {
	if m.gauges != nil {
		_ = m.gauges.Unregister()
	}
}

func (m *metrics) drop(reason string) {
	m.dropped.Add(context.Background(), 1, metric.WithAttributes(attribute.String("reason", reason)))
}

func (m *metrics) answer(query string) {
	m.answered.Add(context.Background(), 1, metric.WithAttributes(attribute.String("query", query)))
}

func (m *metrics) operation(ctx context.Context, name string, began time.Time, err error) {
	m.operations.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(
		attribute.String("operation", name), attribute.Bool("ok", err == nil)))
}

// reput notes how a re-put went.
func (m *metrics) reput(ctx context.Context, res ReputResult, err error) {
	result := "enough"
	switch {
	case errors.Is(err, ErrAlone):
		result = "alone"
	case errors.Is(err, ErrNewer):
		result = "newer"
	case err != nil:
		result = "failed"
	case res.Put:
		result = "put"
	}
	m.reputs.Add(ctx, 1, metric.WithAttributes(attribute.String("result", result)))
	if res.Closest > 0 {
		m.holders.Record(ctx, int64(res.Holding))
	}
}
