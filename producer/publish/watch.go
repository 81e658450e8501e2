package publish

import (
	"context"
	"fmt"
	"time"
)

// settleFor is how long a changed source must look the same before it is packed: whoever writes it may not be done.
const settleFor = 10 * time.Second

// Schedule says what [Publisher.Watch] publishes, and when.
type Schedule struct {
	// Source is a file or a directory.
	Source string
	// Command is run by the shell before each publication; empty means none.
	Command string
	// Every is the time between two publications; one whose source has not changed is left out. 0 means: when the source
	// changes.
	Every time.Duration
	// Poll is how often the source is looked at for changes when Every is 0.
	Poll time.Duration
	// Private is what the source must not hold, see [CheckPrivate].
	Private []Private
}

// Watch publishes the source now, if nothing was published yet or it has changed since, and then as the schedule says.
// It returns when ctx ends. Failures are logged and tried again; the old snapshot stays meanwhile.
func (p *Publisher) Watch(ctx context.Context, s Schedule) error {
	w := &watcher{Publisher: p, Schedule: s}
	for {
		wait := w.turn(ctx)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// watcher is one Watch. One goroutine owns it.
type watcher struct {
	*Publisher
	Schedule
	notBefore time.Time     // of the next look
	seen      string        // fingerprint at the last look
	retry     time.Duration // after the last failure; 0 when there was none
}

// turn looks, publishes if it is time, and returns how long to wait.
func (w *watcher) turn(ctx context.Context) time.Duration {
	if wait := w.notBefore.Sub(w.cfg.Now()); wait > 0 {
		return wait
	}
	if w.unsent.Load() { // what was published last is whole, and only nobody knows of it
		if err := w.settle(ctx); err != nil {
			return w.failed(ctx, err)
		}
	}
	look, err := Fingerprint(ctx, w.Source)
	if err != nil {
		return w.failed(ctx, err)
	}
	settled := w.seen == "" || w.seen == look
	w.seen = look
	changed := w.changed(look)
	switch {
	case changed && !settled && w.Every == 0:
		return min(settleFor, w.Poll)
	case !changed && (w.Command == "" || !w.overdue()):
		return w.idle()
	}
	if err := w.publish(ctx); err != nil {
		return w.failed(ctx, err)
	}
	w.retry = 0
	return w.idle()
}

func (w *watcher) changed(fingerprint string) bool {
	last, ok := w.journal.last()
	return !ok || last.Fingerprint != fingerprint
}

// overdue reports whether the schedule asks for a publication by time alone.
func (w *watcher) overdue() bool {
	last, ok := w.journal.last()
	return !ok || (w.Every > 0 && w.cfg.Now().Sub(last.At) >= w.Every)
}

// idle is how long there is nothing to do.
func (w *watcher) idle() time.Duration {
	if w.Every == 0 {
		return w.Poll
	}
	now := w.cfg.Now()
	w.notBefore = now.Add(w.Every)
	if last, ok := w.journal.last(); ok && last.At.Add(w.Every).After(now) {
		w.notBefore = last.At.Add(w.Every)
	}
	return w.notBefore.Sub(now)
}

// publish runs the command and publishes what the source then is.
func (w *watcher) publish(ctx context.Context) error {
	if w.Command != "" {
		if err := runCommand(ctx, w.Command, w.Source, w.cfg.Log); err != nil {
			return err
		}
	}
	if err := CheckPrivate(ctx, w.Source, w.Private); err != nil {
		return err
	}
	src, err := OpenSource(ctx, w.Source)
	if err != nil {
		return err
	}
	w.seen = src.Fingerprint
	if !w.changed(src.Fingerprint) {
		w.cfg.Log.InfoContext(ctx, "source is unchanged, nothing to publish", "channel", w.cfg.Salt, "source", w.Source)
		return nil
	}
	if _, err := w.Publish(ctx, Request{Source: src}); err != nil {
		return fmt.Errorf("publish %s: %w", w.Source, err)
	}
	return nil
}

// failed reports err and returns how long to wait: a minute first, then twice as long each time, an hour at most.
func (w *watcher) failed(ctx context.Context, err error) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	w.retry = min(max(2*w.retry, retryFirst), retryMost)
	w.cfg.Log.ErrorContext(ctx, "nothing published; the snapshot from before stays", "channel", w.cfg.Salt,
		"error", err, "retry_in", w.retry)
	return w.retry
}
