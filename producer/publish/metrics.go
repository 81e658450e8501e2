package publish

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

const scope = "snapswarm/producer/publish"

// instruments are this package's. The attribute result is ok or error, step one of the steps in the package doc.
type instruments struct {
	tracer       trace.Tracer
	publications metric.Int64Counter
	steps        metric.Float64Histogram
	rawBytes     metric.Int64Counter
	bytes        metric.Int64Counter
	seq          metric.Int64Gauge
	created      metric.Int64Gauge
	expires      metric.Int64Gauge
	renewals     metric.Int64Counter
}

func newInstruments() instruments {
	m := otel.Meter(scope)
	i := instruments{tracer: otel.Tracer(scope)}
	// The API returns a working no-op instrument beside any error.
	i.publications, _ = m.Int64Counter("snapswarm.publish.publications", metric.WithUnit("{publication}"),
		metric.WithDescription("Publications tried, by result; also those that failed before they began."))
	i.steps, _ = m.Float64Histogram("snapswarm.publish.step.duration", metric.WithUnit("s"),
		metric.WithDescription("Time of the steps of a publication, by step and result."),
		metric.WithExplicitBucketBoundaries(0.1, 1, 5, 15, 60, 300, 900, 3600, 4*3600, 12*3600)) // seconds to half a day
	i.rawBytes, _ = m.Int64Counter("snapswarm.publish.raw", metric.WithUnit("By"),
		metric.WithDescription("Bytes of sources that were published."))
	i.bytes, _ = m.Int64Counter("snapswarm.publish.archive", metric.WithUnit("By"),
		metric.WithDescription("Bytes of archives that were published."))
	i.seq, _ = m.Int64Gauge("snapswarm.publish.pointer.seq", metric.WithUnit("ms"),
		metric.WithDescription("Sequence number of the pointer last signed: unix milliseconds."))
	i.created, _ = m.Int64Gauge("snapswarm.publish.pointer.created", metric.WithUnit("s"),
		metric.WithDescription("Unix time of the snapshot that the pointer names."))
	i.expires, _ = m.Int64Gauge("snapswarm.publish.pointer.expires", metric.WithUnit("s"),
		metric.WithDescription("Unix time at which the pointer expires unless it is renewed."))
	i.renewals, _ = m.Int64Counter("snapswarm.publish.renewals", metric.WithUnit("{renewal}"),
		metric.WithDescription("Renewals of the pointer, by result."))
	return i
}

func result(err error) attribute.KeyValue {
	if err != nil {
		return attribute.String("result", "error")
	}
	return attribute.String("result", "ok")
}

func (i instruments) step(ctx context.Context, name string, took time.Duration, err error) {
	i.steps.Record(ctx, took.Seconds(), metric.WithAttributes(attribute.String("step", name), result(err)))
}

func (i instruments) published(ctx context.Context, r *run, err error) {
	i.publications.Add(ctx, 1, metric.WithAttributes(result(err)))
	if err != nil {
		return
	}
	i.rawBytes.Add(ctx, r.archive.RawSize)
	i.bytes.Add(ctx, r.archive.Size)
	i.pointer(ctx, r.record.Seq, r.version.Time(), r.report.Expires)
}

// refused counts a publication that failed before it began.
func (i instruments) refused(ctx context.Context, err error) {
	i.publications.Add(ctx, 1, metric.WithAttributes(result(err)))
}

func (i instruments) pointer(ctx context.Context, seq int64, created, expires time.Time) {
	i.seq.Record(ctx, seq)
	i.created.Record(ctx, created.Unix())
	i.expires.Record(ctx, expires.Unix())
}

func (i instruments) renewed(ctx context.Context, err error) {
	i.renewals.Add(ctx, 1, metric.WithAttributes(result(err)))
}
