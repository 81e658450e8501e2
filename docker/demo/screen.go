package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"snapswarm/common/daemon"
)

// screen shows the steps: a line for each that is done, and at the bottom of a terminal the one under way.
type screen struct {
	terminal *daemon.Terminal
	total    int
	done     int
}

func newScreen(t *daemon.Terminal, total int) *screen { return &screen{terminal: t, total: total} }

// step is the one under way.
type step struct {
	head  string
	begin time.Time

	mu      sync.Mutex                   // guards the rest
	live    func(context.Context) string // how far it is
	outcome string
}

// watch names a function that says how far the step is.
func (s *step) watch(live func(context.Context) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = live
}

// result is shown when the step is done.
func (s *step) result(format string, args ...any) { s.outcome = fmt.Sprintf(format, args...) }

// status is what is shown meanwhile.
func (s *step) status(ctx context.Context) string {
	s.mu.Lock()
	live := s.live
	s.mu.Unlock()
	line := fmt.Sprintf("%s  %.0f s", s.head, time.Since(s.begin).Seconds())
	if live == nil {
		return line
	}
	return line + "  " + live(ctx)
}

// step runs one step.
func (s *screen) step(ctx context.Context, title string, run func(context.Context, *step) error) error {
	s.done++
	st := &step{head: fmt.Sprintf("[%d/%d] %s", s.done, s.total, title), begin: time.Now()}
	stop := s.follow(ctx, st)
	err := run(ctx, st)
	stop()
	if err != nil {
		s.print(st.head + "  failed\n")
		return err
	}
	s.print(fmt.Sprintf("%s  %.1f s\n", st.head, time.Since(st.begin).Seconds()))
	if st.outcome != "" {
		s.print("      " + st.outcome + "\n")
	}
	return nil
}

// repaint is the pause between two looks at a step, and remind that between two lines about it where nothing can be
// repainted.
const (
	repaint = 250 * time.Millisecond
	remind  = 10 * time.Second
)

// follow shows how far a step is until the returned function is called.
func (s *screen) follow(ctx context.Context, st *step) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	every := remind
	if s.terminal.Interactive {
		every = repaint
		s.show(st.head)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				s.show(st.status(ctx))
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
		s.terminal.SetStatus()
	}
}

func (s *screen) show(line string) {
	if s.terminal.Interactive {
		s.terminal.SetStatus(clip(line, s.terminal.Columns()-1))
		return
	}
	s.print(line + "\n")
}

// clip cuts a line to a width in characters.
func clip(line string, width int) string {
	if r := []rune(line); len(r) > width {
		return string(r[:max(0, width)])
	}
	return line
}

// Write shows whole lines, above the step under way.
func (s *screen) Write(b []byte) (int, error) { return s.terminal.Write(b) }

func (s *screen) print(text string) { _, _ = s.terminal.Write([]byte(text)) } // a terminal that went away cannot be told

func (s *screen) close() { s.terminal.SetStatus() }
