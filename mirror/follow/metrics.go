package follow

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

const meterName = "snapswarm/mirror/follow"

// Attributes. Channels are few: the operator lists them.
const (
	channelKey = attribute.Key("channel")
	sourceKey  = attribute.Key("source")
)

// gauge is an instrument and how its value comes out of a status.
type gauge struct {
	name, unit, description string
	value                   func(Status, time.Time) (int64, bool)
}

// gauges are observed for each channel.
var gauges = [...]gauge{
	{
		"snapswarm.mirror.ready", "", "1 when the channel has a pointer and its newest version is complete or on its way.",
		func(s Status, _ time.Time) (int64, bool) { return flag(s.Ready() == nil), true },
	},
	{
		"snapswarm.mirror.faults", "{fault}", "Things that are wrong with the channel at present; /readyz?verbose has them in words.",
		func(s Status, _ time.Time) (int64, bool) { return int64(len(s.Faults)), true },
	},
	{
		"snapswarm.mirror.pointer.seq", "", "Sequence number of the newest pointer.",
		func(s Status, _ time.Time) (int64, bool) { return s.Seq, s.Known },
	},
	{
		"snapswarm.mirror.pointer.age", "s", "Time since the newest pointer was signed.",
		func(s Status, now time.Time) (int64, bool) { return int64(now.Sub(s.Signed).Seconds()), s.Known },
	},
	{
		"snapswarm.mirror.pointer.expired", "", "1 when the publisher has not renewed the pointer in time.",
		func(s Status, _ time.Time) (int64, bool) { return flag(s.Expired), s.Known },
	},
	{
		"snapswarm.mirror.snapshot.size", "By", "Size of the version that is downloaded or newest.",
		func(s Status, _ time.Time) (int64, bool) { return s.Length, s.Version != "" },
	},
	{
		"snapswarm.mirror.snapshot.completed", "By", "How much of it is here.",
		func(s Status, _ time.Time) (int64, bool) { return s.Completed, s.Version != "" },
	},
	{
		"snapswarm.mirror.versions", "{version}", "Complete versions that are seeded.",
		func(s Status, _ time.Time) (int64, bool) { return int64(s.Versions), true },
	},
	{
		"snapswarm.mirror.peers", "{peer}", "Peers connected for the version that is downloaded or newest.",
		func(s Status, _ time.Time) (int64, bool) { return int64(s.Peers), true },
	},
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// observe lets the metrics read the status of f until the registration ends.
func observe(f *Follower) (metric.Registration, error) {
	meter := otel.Meter(meterName)
	var errs []error
	var instruments []metric.Observable
	observables := make([]metric.Int64ObservableGauge, len(gauges))
	for i, g := range gauges {
		o, err := meter.Int64ObservableGauge(g.name, metric.WithDescription(g.description), metric.WithUnit(g.unit))
		errs = append(errs, err)
		observables[i], instruments = o, append(instruments, o)
	}
	received, err1 := meter.Int64ObservableCounter("snapswarm.mirror.received",
		metric.WithDescription("Verified bytes since the process started, by source."), metric.WithUnit("By"))
	uploaded, err2 := meter.Int64ObservableCounter("snapswarm.mirror.uploaded",
		metric.WithDescription("Bytes sent to peers since the process started."), metric.WithUnit("By"))
	if err := errors.Join(append(errs, err1, err2)...); err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		now := time.Now()
		for _, s := range f.Status() {
			channel := channelKey.String(s.Channel.Salt)
			for i, g := range gauges {
				if v, ok := g.value(s, now); ok {
					o.ObserveInt64(observables[i], v, metric.WithAttributes(channel))
				}
			}
			o.ObserveInt64(received, s.FromPeers, metric.WithAttributes(channel, sourceKey.String("peers")))
			o.ObserveInt64(received, s.FromOrigin, metric.WithAttributes(channel, sourceKey.String("origin")))
			o.ObserveInt64(uploaded, s.Uploaded, metric.WithAttributes(channel))
		}
		return nil
	}, append(instruments, received, uploaded)...)
}
