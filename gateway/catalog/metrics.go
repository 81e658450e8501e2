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
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for salt, ch := range c.channels {
			v, set := ch.view.Load(), metric.WithAttributes(attribute.String("channel", salt))
			o.ObserveInt64(versions, int64(len(v.holdings)), set)
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
	}, age, left, versions, missing)
	if err != nil {
		return nil, err
	}
	return func() { _ = registration.Unregister() }, nil // it fails only when it is not registered
}
