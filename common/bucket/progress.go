package bucket

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// progress adds up what the parts of one upload have sent and tells the caller.
type progress struct {
	report func(int64)

	mu   sync.Mutex // guards sent, and serialises the calls of report
	sent int64
}

func newProgress(report func(int64)) *progress {
	if report == nil {
		report = func(int64) {}
	}
	return &progress{report: report}
}

// add moves the sum by n, which is negative when a part has to be sent again.
func (p *progress) add(n int64) {
	if n == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent += n
	p.report(p.sent)
}

// addIf is add on a condition.
func (p *progress) addIf(ok bool, n int64) {
	if ok {
		p.add(n)
	}
}

// set makes the sum n.
func (p *progress) set(n int64) {
	p.mu.Lock()
	sent := p.sent
	p.mu.Unlock()
	p.add(n - sent)
}

// section is one attempt to send one part: it reads the part from the start, counts, and keeps the watchdog calm.
type section struct {
	load payload
	p    *progress
	dog  *watchdog

	mu     sync.Mutex // guards the rest: the transport may read on while the attempt is already over
	r      io.Reader
	n      int64
	fail   error // of reading the source, which is not the network's fault
	closed bool
}

func newSection(load payload, p *progress, dog *watchdog) *section {
	return &section{load: load, r: io.NewSectionReader(load.src, load.at.offset, load.at.size), p: p, dog: dog}
}

func (s *section) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	n, err := s.r.Read(b)
	s.n += int64(n)
	s.dog.pat()
	s.p.add(int64(n))
	if err != nil && err != io.EOF {
		s.fail = err
	}
	return n, err
}

// end closes the attempt. After a failure it takes back what was reported; it returns the bytes sent and the error of
// reading the source, if that was the reason.
func (s *section) end(failed bool) (sent int64, fail error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if failed {
		s.p.add(-s.n)
	}
	return s.n, s.fail
}

// watchdog cancels a context when nobody has patted it for a while.
type watchdog struct {
	timer  *time.Timer
	limit  time.Duration
	cancel context.CancelCauseFunc
}

// newWatchdog returns a context that ends with a [stalledError] as its cause after limit without a pat.
func newWatchdog(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() { cancel(stalledError(limit)) })
	return ctx, &watchdog{timer: timer, limit: limit, cancel: cancel}
}

func (d *watchdog) pat() { d.timer.Reset(d.limit) }

// rest lets the watchdog sleep until the next pat.
func (d *watchdog) rest() { d.timer.Stop() }

// stop releases the context and the timer.
func (d *watchdog) stop() {
	d.timer.Stop()
	d.cancel(nil)
}

// stalledError says for how long nothing had moved.
type stalledError time.Duration

func (e stalledError) Error() string { return fmt.Sprintf("no progress for %v", time.Duration(e)) }

// Is makes a stall count as an unreachable store.
func (e stalledError) Is(target error) bool { return target == ErrUnreachable }
