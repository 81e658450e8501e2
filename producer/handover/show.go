package handover

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Tap is a handler that hands everything on to inner, and copies what was logged in the context of a piece of work to its
// caller.
func Tap(inner slog.Handler) slog.Handler { return tap{inner: inner} }

// tap keeps the attributes of its logger for the copies, with their groups in their names. It is never changed.
type tap struct {
	inner slog.Handler
	group string // with a dot at its end, or empty
	attrs [][2]string
}

func (t tap) Enabled(ctx context.Context, level slog.Level) bool { return t.inner.Enabled(ctx, level) }

func (t tap) Handle(ctx context.Context, r slog.Record) error {
	if c := callerOf(ctx); c != nil {
		attrs := slices.Clone(t.attrs)
		r.Attrs(func(a slog.Attr) bool {
			attrs = appendAttr(attrs, t.group, a)
			return true
		})
		c.show(event{Log: &line{Time: r.Time, Level: r.Level, Message: r.Message, Attrs: attrs}})
	}
	return t.inner.Handle(ctx, r)
}

func (t tap) WithAttrs(attrs []slog.Attr) slog.Handler {
	all := slices.Clone(t.attrs)
	for _, a := range attrs {
		all = appendAttr(all, t.group, a)
	}
	return tap{inner: t.inner.WithAttrs(attrs), group: t.group, attrs: all}
}

func (t tap) WithGroup(name string) slog.Handler {
	if name == "" {
		return t
	}
	return tap{inner: t.inner.WithGroup(name), group: t.group + name + ".", attrs: t.attrs}
}

func appendAttr(attrs [][2]string, group string, a slog.Attr) [][2]string {
	value := a.Value.Resolve()
	if value.Kind() != slog.KindGroup {
		return append(attrs, [2]string{group + a.Key, value.String()})
	}
	if a.Key != "" {
		group += a.Key + "."
	}
	for _, member := range value.Group() {
		attrs = appendAttr(attrs, group, member)
	}
	return attrs
}

// Task shows how far a piece of work is.
type Task interface {
	Set(done int64)
	Done()
	Cancel()
}

// showEvery is how often the progress of a task is sent.
const showEvery = 200 * time.Millisecond

// Follow is task, shown also to the caller of the work that ctx belongs to.
func Follow(ctx context.Context, task Task, label string, total int64) Task {
	c := callerOf(ctx)
	if c == nil {
		return task
	}
	f := &followed{task: task, caller: c, now: progress{ID: c.newTask(), Label: label, Total: total}}
	c.show(event{Task: new(f.now)})
	return f
}

// followed is a task that two see. Its methods may be called at once.
type followed struct {
	task   Task
	caller *caller

	mu    sync.Mutex
	now   progress  // guarded by mu
	shown time.Time // guarded by mu
}

// Set implements [Task].
func (f *followed) Set(done int64) {
	f.task.Set(done)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now.Done = done
	if now := time.Now(); now.Sub(f.shown) >= showEvery {
		f.shown = now
		f.caller.show(event{Task: new(f.now)})
	}
}

// Done implements [Task].
func (f *followed) Done() {
	f.task.Done()
	f.end(stateDone)
}

// Cancel implements [Task].
func (f *followed) Cancel() {
	f.task.Cancel()
	f.end(stateCanceled)
}

func (f *followed) end(s state) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now.State != stateUnderWay {
		return
	}
	f.now.State = s
	f.caller.show(event{Task: new(f.now)})
}
