package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"
)

// settleFor is how long a changed source must look the same before it is packed: whoever writes it may not be done.
const settleFor = 10 * time.Second

// Schedule says what [Publisher.Watch] publishes, and when.
type Schedule struct {
	// Source is a file or a directory; with none, only unfinished publications are finished.
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
// An unfinished publication comes first. It returns when ctx ends. Failures are logged and tried again; the old snapshot stays meanwhile.
func (p *Publisher) Watch(ctx context.Context, s Schedule) error {
	w := &watcher{Publisher: p, Schedule: s}
	if path, err := filepath.Abs(s.Source); err == nil && s.Source != "" {
		p.journal.watch(path)
	}
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
	if err := w.catchUp(ctx); err != nil {
		return w.failed(ctx, err)
	}
	if w.Source == "" {
		return w.succeeded()
	}
	look, err := Fingerprint(ctx, w.Source)
	if errors.Is(err, fs.ErrNotExist) && w.Command != "" {
		look, err = "", nil // it is for the command to make it, for the first time or after a failure
	}
	if err != nil {
		return w.failed(ctx, w.refused(ctx, err))
	}
	settled := w.seen == "" || w.seen == look
	w.seen = look
	changed := w.changed(look)
	switch {
	case changed && !settled && w.Every == 0:
		return min(settleFor, w.Poll)
	case !changed && (w.Command == "" || !w.overdue()):
		return w.succeeded()
	}
	if err := w.publish(ctx); err != nil {
		return w.failed(ctx, err)
	}
	return w.succeeded()
}

// catchUp brings what was begun before to its end.
func (w *watcher) catchUp(ctx context.Context) error {
	if w.unsent.Load() { // what was published last is whole, and only nobody knows of it
		if err := w.settle(ctx); err != nil {
			return w.refused(ctx, err)
		}
	}
	if _, _, err := w.Finish(ctx); err != nil {
		return fmt.Errorf("finish what was begun: %w", err)
	}
	return nil
}

// changed reports whether the source is another than when it was published last. What was published by hand in between does not
// count, so that it stays the newest until there is something new here.
func (w *watcher) changed(fingerprint string) bool { return !w.journal.isLast(fingerprint) }

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
	req, err := w.prepare(ctx)
	if err != nil {
		return w.refused(ctx, err)
	}
	w.seen = req.Source.Fingerprint
	if !w.changed(req.Source.Fingerprint) {
		w.cfg.Log.InfoContext(ctx, "source is unchanged, nothing to publish", "channel", w.cfg.Salt, "source", w.Source)
		return nil
	}
	if _, err := w.Publish(ctx, req); err != nil {
		return fmt.Errorf("publish %s: %w", w.Source, err)
	}
	return nil
}

// prepare runs the command and opens what the source then is.
func (w *watcher) prepare(ctx context.Context) (req Request, err error) {
	if w.Command != "" {
		if req.Height, err = runCommand(ctx, w.Command, w.Source, w.cfg.Log); err != nil {
			return req, err
		}
	}
	if err := CheckPrivate(ctx, w.Source, w.Private); err != nil {
		return req, err
	}
	req.Source, err = OpenSource(ctx, w.Source)
	return req, err
}

// refused counts a round that failed before Publish, which counts its own, and returns err.
func (w *watcher) refused(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		w.metrics.refused(ctx, err)
	}
	return err
}

// succeeded notes that what is published is what the source holds, and returns how long to wait.
func (w *watcher) succeeded() time.Duration {
	w.retry = 0
	w.trouble.Store(nil)
	return w.idle()
}

// trouble is a row of failed rounds without a success.
type trouble struct {
	since time.Time
	err   error // the last
}

// WatchHealth is an error while the rounds of [Publisher.Watch] fail: it says since when, and why the last one did.
func (p *Publisher) WatchHealth() (detail string, err error) {
	if t := p.trouble.Load(); t != nil {
		return "", fmt.Errorf("failing since %s: %w", t.since.UTC().Format(time.RFC3339), t.err)
	}
	last, ok := p.journal.last()
	if !ok {
		return "nothing has failed", nil
	}
	return "the last one is " + string(last.Version), nil
}

// failed reports err and returns how long to wait: a minute first, then twice as long each time, an hour at most.
func (w *watcher) failed(ctx context.Context, err error) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	w.retry = min(max(2*w.retry, retryFirst), retryMost)
	t := &trouble{since: w.cfg.Now(), err: err}
	if before := w.trouble.Load(); before != nil {
		t.since = before.since
	}
	w.trouble.Store(t)
	w.cfg.Log.ErrorContext(ctx, "nothing published; the snapshot from before stays", "channel", w.cfg.Salt,
		"error", err, "retry_in", w.retry)
	return w.retry
}
