package swarm

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are the package's instruments. A nil *metrics counts nothing.
type metrics struct {
	received metric.Int64Counter
	bad      metric.Int64Counter
	requests metric.Int64Counter
}

func newMetrics() (*metrics, error) {
	meter := otel.Meter("snapswarm/common/swarm")
	received, err1 := meter.Int64Counter("snapswarm.swarm.verified",
		metric.WithUnit("By"), metric.WithDescription("Bytes of pieces that became present, by where they came from."))
	bad, err2 := meter.Int64Counter("snapswarm.swarm.pieces.bad",
		metric.WithUnit("{piece}"), metric.WithDescription("Pieces whose hash was wrong, by where they came from."))
	requests, err3 := meter.Int64Counter("snapswarm.swarm.origin.requests",
		metric.WithUnit("{request}"), metric.WithDescription("Requests to origins, by result."))
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("create instruments: %w", err)
	}
	return &metrics{received: received, bad: bad, requests: requests}, nil
}

var sourceNames = [numSources]string{fromPeers: "peers", fromOrigin: "origin", fromDisk: "disk"}

func bySource(s source) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("source", sourceNames[s]))
}

func (m *metrics) verified(s source, bytes int64) {
	if m != nil {
		m.received.Add(context.Background(), bytes, bySource(s))
	}
}

func (m *metrics) badPiece(s source) {
	if m != nil {
		m.bad.Add(context.Background(), 1, bySource(s))
	}
}

func (m *metrics) originRequest(result fetchResult) {
	if m != nil {
		m.requests.Add(context.Background(), 1, metric.WithAttributes(attribute.String("result", string(result))))
	}
}
