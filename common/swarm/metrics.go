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
	pieces   metric.Int64Counter // that the scrubber read
	read     metric.Int64Counter // bytes that it read
	mended   metric.Int64Counter
}

func newMetrics() (*metrics, error) {
	meter := otel.Meter("snapswarm/common/swarm")
	received, err1 := meter.Int64Counter("snapswarm.swarm.verified",
		metric.WithUnit("By"), metric.WithDescription("Bytes of pieces that became present, by where they came from."))
	bad, err2 := meter.Int64Counter("snapswarm.swarm.pieces.bad",
		metric.WithUnit("{piece}"), metric.WithDescription("Pieces whose hash was wrong, by where they came from."))
	requests, err3 := meter.Int64Counter("snapswarm.swarm.origin.requests",
		metric.WithUnit("{request}"), metric.WithDescription("Requests to origins, by result."))
	pieces, err4 := meter.Int64Counter("snapswarm.scrub.pieces",
		metric.WithUnit("{piece}"), metric.WithDescription("Pieces on disk that were read and hashed again, by result."))
	read, err5 := meter.Int64Counter("snapswarm.scrub.read",
		metric.WithUnit("By"), metric.WithDescription("Bytes on disk that were read and hashed again."))
	mended, err6 := meter.Int64Counter("snapswarm.scrub.mended",
		metric.WithUnit("{piece}"), metric.WithDescription("Pieces that had been lost on this disk and are here again."))
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return nil, fmt.Errorf("create instruments: %w", err)
	}
	return &metrics{received: received, bad: bad, requests: requests, pieces: pieces, read: read, mended: mended}, nil
}

// observe lets the metrics read the state of c until the function that it returns is called.
func (m *metrics) observe(c *Client) (end func() error, err error) {
	meter := otel.Meter("snapswarm/common/swarm")
	damaged, err1 := meter.Int64ObservableGauge("snapswarm.scrub.damaged",
		metric.WithUnit("{piece}"), metric.WithDescription("Pieces that were lost on this disk and have not been fetched again yet."))
	finished, err2 := meter.Int64ObservableGauge("snapswarm.scrub.finished", metric.WithUnit("s"), metric.WithDescription(
		"Unix time at which the last full round ended, of the snapshot for which that is longest ago; of one in its first round, when it was first seen."))
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("create instruments: %w", err)
	}
	registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		pieces, oldest := c.health()
		o.ObserveInt64(damaged, int64(pieces))
		if !oldest.IsZero() {
			o.ObserveInt64(finished, oldest.Unix())
		}
		return nil
	}, damaged, finished)
	if err != nil {
		return nil, fmt.Errorf("create instruments: %w", err)
	}
	return registration.Unregister, nil
}

// scrubbed counts a piece that was read again.
func (m *metrics) scrubbed(right bool, err error, bytes int64) {
	if m == nil {
		return
	}
	result := "right"
	switch {
	case err != nil:
		result = "unreadable"
	case !right:
		result = "wrong"
	}
	m.pieces.Add(context.Background(), 1, metric.WithAttributes(attribute.String("result", result)))
	m.read.Add(context.Background(), bytes)
}

func (m *metrics) wasMended() {
	if m != nil {
		m.mended.Add(context.Background(), 1)
	}
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
