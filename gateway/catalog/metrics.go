package catalog

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const meterName = "snapswarm/gateway/catalog"

// observe registers the instruments; their attribute is the channel's salt, one of those that were configured.
func (c *Catalog) observe() (unregister func(), err error) {
	meter := otel.Meter(meterName)
	age, err1 := meter.Float64ObservableGauge("snapswarm.gateway.pointer.age",
		metric.WithDescription("Time since the newest pointer was signed."), metric.WithUnit("s"))
	left, err2 := meter.Float64ObservableGauge("snapswarm.gateway.pointer.left",
		metric.WithDescription("Time until the newest pointer expires; negative when it has."), metric.WithUnit("s"))
	versions, err3 := meter.Int64ObservableGauge("snapswarm.gateway.versions",
		metric.WithDescription("Versions that can be served."), metric.WithUnit("{version}"))
	missing, err4 := meter.Int64ObservableGauge("snapswarm.gateway.latest.missing",
		metric.WithDescription("Bytes of the newest version that are not here yet."), metric.WithUnit("By"))
	ready, err5 := meter.Int64ObservableGauge("snapswarm.gateway.ready",
		metric.WithDescription("1 when the newest version can be served; /readyz?verbose says why not."))
	faults, err6 := meter.Int64ObservableGauge("snapswarm.gateway.faults",
		metric.WithDescription("Things that keep the newest version from coming, such as a full disk; /readyz?verbose has them in words."),
		metric.WithUnit("{fault}"))
	if err := errors.Join(err1, err2, err3, err4, err5, err6); err != nil {
		return nil, err
	}
	registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for salt, ch := range c.channels {
			v, set := ch.view.Load(), metric.WithAttributes(attribute.String("channel", salt))
			o.ObserveInt64(versions, int64(len(v.holdings)), set)
			_, notReady := ch.state()
			o.ObserveInt64(ready, flag(notReady == nil), set)
			o.ObserveInt64(faults, v.faults(), set)
			if h, ok := v.holding(v.latest); ok {
				_, have := h.Data.Completed()
				o.ObserveInt64(missing, h.Torrent.Length-have, set)
			}
			if !v.pointed {
				continue
			}
			o.ObserveFloat64(age, c.cfg.Now().Sub(v.record.Time()).Seconds(), set)
			if p, err := v.record.Pointer(); err == nil && !p.Expires.IsZero() {
				o.ObserveFloat64(left, p.Expires.Sub(c.cfg.Now()).Seconds(), set)
			}
		}
		return nil
	}, age, left, versions, missing, ready, faults)
	if err != nil {
		return nil, err
	}
	return func() { _ = registration.Unregister() }, nil // it fails only when it is not registered
}

// faults counts what keeps the newest version from coming.
func (v *view) faults() int64 {
	n := flag(v.openErr != nil)
	if h, ok := v.holding(v.latest); ok && !h.complete() {
		n += flag(h.Data.Err() != nil)
	}
	return n
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
