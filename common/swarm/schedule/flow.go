package schedule

import (
	"slices"
	"time"
)

// flow finds out how many requests at once an origin is worth.
type flow struct {
	most, window int           // window 0: not begun
	took         time.Duration // by a request, smoothed

	// A round is twice as many requests as the window, which was in full use meanwhile.
	began  time.Time
	landed int
	bytes  int64

	rate float64 // bytes per second of the last round
	grew bool    // the window, after that round
	hold int     // rounds until more is tried
}

const (
	firstWindow = 2  // requests at once that are tried first
	holdRounds  = 16 // how long one more is not tried after it brought nothing
)

func (f *flow) allowed() int {
	if f.window == 0 {
		f.window = min(firstWindow, f.most)
	}
	return f.window
}

// Landed tells that a request ended well: it was begun at started and brought so many bytes; inFlight counts it, too.
func (r *Rule) Landed(started, now time.Time, bytes int64, inFlight int) {
	r.flow.add(started, now, bytes, inFlight)
}

// Failed tells that the request for run failed by the origin's fault. Other units come before its unit then: what nobody gets right
// must not hold up the rest.
func (r *Rule) Failed(run Run) {
	r.flow.halve()
	r.flow.restart(time.Time{})
	unit := uint32(run.First / r.Unit)
	if i := slices.Index(r.order, unit); i >= 0 {
		r.order = append(slices.Delete(r.order, i, i+1), unit)
	}
}

func (f *flow) add(started, now time.Time, bytes int64, inFlight int) {
	if took := now.Sub(started); f.took == 0 {
		f.took = took
	} else {
		f.took += (took - f.took) / 8
	}
	if f.began.IsZero() || inFlight < f.allowed() {
		f.restart(now)
		return
	}
	f.landed++
	f.bytes += bytes
	if f.landed >= 2*f.window {
		f.adapt(float64(f.bytes) / max(now.Sub(f.began).Seconds(), 1e-3))
		f.restart(now)
	}
}

// adapt tries one more now and then, takes it back if it brings nothing, and halves the window when the origin gives much less.
func (f *flow) adapt(rate float64) {
	before, grew := f.rate, f.grew
	f.rate, f.grew = rate, false
	switch {
	case rate < before/2:
		f.halve()
	case grew && rate < 1.05*before:
		f.window--
		f.hold = holdRounds
	case f.hold > 0:
		f.hold--
	case f.window < f.most:
		f.window++
		f.grew = true
	}
}

func (f *flow) halve() { f.window = max(1, f.allowed()/2) }

func (f *flow) restart(now time.Time) { f.began, f.landed, f.bytes = now, 0, 0 }
