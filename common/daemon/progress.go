package daemon

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	repaintEvery = 200 * time.Millisecond // on an interactive terminal
	logEvery     = 10 * time.Second       // elsewhere
	rateWindow   = 10 * time.Second       // the rate shown is the mean over this time
	maxBars      = 6                      // more than this many tasks at once are only counted
)

// Progress shows how far the tasks of a process are: a line for each at the bottom of an interactive terminal, a log
// record every ten seconds elsewhere. Its methods may be called concurrently.
type Progress struct {
	terminal *Terminal
	log      *slog.Logger
	quit     chan struct{}
	stopped  chan struct{}
	close    func()

	mu    sync.Mutex
	tasks []*Task // those under way, in the order of their start; guarded by mu
}

// NewProgress starts to show progress on t, and in log when t is not interactive. The caller closes it.
func NewProgress(t *Terminal, log *slog.Logger) *Progress {
	p := &Progress{terminal: t, log: log, quit: make(chan struct{}), stopped: make(chan struct{})}
	p.close = sync.OnceFunc(func() {
		close(p.quit)
		<-p.stopped
	})
	go p.run()
	return p
}

// Close removes the lines of tasks that are not done from the terminal. It may be called twice.
func (p *Progress) Close() { p.close() }

func (p *Progress) run() {
	defer close(p.stopped)
	every := logEvery
	if p.terminal.Interactive {
		every = repaintEvery
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.report()
		case <-p.quit:
			p.terminal.SetStatus()
			return
		}
	}
}

func (p *Progress) report() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal.Interactive {
		for _, t := range p.tasks {
			t.log()
		}
		return
	}
	p.paint()
}

// paint needs p.mu.
func (p *Progress) paint() {
	width := p.terminal.Columns() - 1 // a full line would wrap, and then could not be erased
	var lines []string
	for _, t := range p.tasks[:min(len(p.tasks), maxBars)] {
		lines = append(lines, t.snapshot().bar(width))
	}
	if more := len(p.tasks) - maxBars; more > 0 {
		lines = append(lines, fmt.Sprintf("... and %d more", more))
	}
	p.terminal.SetStatus(lines...)
}

// Start begins a task named label of total bytes, -1 when that is unknown. Labels should be short: "pack", "upload",
// the name of a channel. The caller ends the task with Done or Cancel.
func (p *Progress) Start(label string, total int64) *Task {
	now := time.Now()
	t := &Task{progress: p, label: oneLine(label), started: now, total: total, samples: []sample{{at: now}}}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tasks = append(p.tasks, t)
	return t
}

// remove reports whether t was still under way.
func (p *Progress) remove(t *Task) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.tasks, t)
	if i < 0 {
		return false
	}
	p.tasks = slices.Delete(p.tasks, i, i+1)
	select {
	case <-p.quit: // closed: the status lines are gone for good
	default:
		if p.terminal.Interactive {
			p.paint()
		}
	}
	return true
}

// Task is one piece of work whose bytes are counted. Its methods may be called concurrently, and are cheap enough to be
// called for every block.
type Task struct {
	progress *Progress
	label    string
	started  time.Time

	mu      sync.Mutex
	total   int64
	done    int64
	resumed int64    // part of done that was there before
	note    string   // free text at the end of the line
	samples []sample // of the last rateWindow, oldest first; at least one
}

type sample struct {
	at   time.Time
	done int64
}

// Set says that done bytes of the total are done.
func (t *Task) Set(done int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done = done
}

// Add says that n more bytes are done.
func (t *Task) Add(n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done += n
}

// Resume says that done bytes are there already, from an earlier run: they count as done, but not for the rate.
func (t *Task) Resume(done int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done, t.resumed = done, done
	t.samples = []sample{{time.Now(), done}}
}

// SetTotal corrects the total.
func (t *Task) SetTotal(total int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total = total
}

// Note sets the text at the end of the line, such as "92% from peers, 8% from origin".
func (t *Task) Note(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.note = oneLine(text)
}

// Done ends the task well: what it did stays as a line of the output, or as a record of the log. Only the first call of
// Done and Cancel counts.
func (t *Task) Done() {
	if !t.progress.remove(t) {
		return
	}
	s := t.snapshot()
	took := time.Since(t.started)
	rate := perSecond(s.done-s.resumed, took)
	if t.progress.terminal.Interactive {
		_, _ = fmt.Fprintln(t.progress.terminal, s.summary(took, rate))
		return
	}
	t.progress.log.Info("step done", s.noted("step", t.label, "bytes", s.done,
		"took", took.Round(time.Millisecond), "rate", Bytes(rate).String()+"/s")...)
}

// Cancel ends the task without a word; the error that ended it speaks for itself.
func (t *Task) Cancel() { t.progress.remove(t) }

func (t *Task) log() {
	s := t.snapshot()
	attrs := []any{"step", t.label, "bytes", s.done}
	if s.total > 0 {
		attrs = append(attrs, "total", s.total, "percent", s.percent())
	}
	attrs = append(attrs, "rate", Bytes(s.rate).String()+"/s", "eta", s.eta())
	t.progress.log.Info("progress", s.noted(attrs...)...)
}

// snapshot takes a sample for the rate and returns what to show.
func (t *Task) snapshot() view {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	// The oldest sample to keep is the last one that is at least rateWindow old.
	for len(t.samples) > 1 && now.Sub(t.samples[1].at) >= rateWindow {
		t.samples = t.samples[1:]
	}
	first := t.samples[0]
	t.samples = append(t.samples, sample{now, t.done})
	return view{
		label: t.label, note: t.note, done: t.done, resumed: t.resumed, total: t.total,
		rate: perSecond(t.done-first.done, now.Sub(first.at)), young: now.Sub(t.started) < rateWindow,
	}
}

func perSecond(n int64, d time.Duration) int64 {
	if d <= 0 || n <= 0 {
		return 0
	}
	return int64(float64(n) / d.Seconds())
}
