package pointer

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"

	"snapswarm/common/snapshot"
)

// maxRemembered bounds how many log lines are remembered as written. Beyond it all are forgotten, so
// that an attacker with ever new records costs some lines and no memory.
const maxRemembered = 1024

// onceLog writes each refusal once, however often it is met.
type onceLog struct {
	log *slog.Logger

	mu   sync.Mutex
	seen map[refusalKey]struct{} // guarded by mu
}

type refusalKey struct {
	channel snapshot.Channel
	source  string
	seq     int64
	reason  string
}

func newOnceLog(log *slog.Logger) *onceLog {
	return &onceLog{log: log, seen: make(map[refusalKey]struct{})}
}

// refused writes a line about f: conflicts are alarms, older records are no news.
func (o *onceLog) refused(ctx context.Context, ch snapshot.Channel, f Refusal) {
	if !o.first(refusalKey{channel: ch, source: f.Source, seq: f.Seq, reason: reason(f.Err)}) {
		return
	}
	level := slog.LevelWarn
	switch {
	case errors.Is(f.Err, ErrConflict):
		level = slog.LevelError
	case errors.Is(f.Err, ErrOlder):
		level = slog.LevelDebug
	}
	o.log.Log(ctx, level, "pointer refused", "channel", ch.Salt, "source", f.Source, "seq", f.Seq, "error", f.Err)
	if e, ok := errors.AsType[*conflictError](f.Err); ok {
		o.log.DebugContext(ctx, "values of the two pointers with one sequence number", "channel", ch.Salt, "seq", f.Seq,
			"kept", hex.EncodeToString(e.first.Value), "refused", hex.EncodeToString(e.second.Value))
	}
}

func (o *onceLog) first(key refusalKey) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.seen[key]; ok {
		return false
	}
	if len(o.seen) >= maxRemembered {
		clear(o.seen)
	}
	o.seen[key] = struct{}{}
	return true
}

// reason is the kind of a refusal in one word, for metrics.
func reason(err error) string {
	for _, r := range []struct {
		err  error
		word string
	}{
		{ErrTooLarge, "too-large"},
		{ErrWrongChannel, "wrong-channel"},
		{ErrSignature, "signature"},
		{ErrSequence, "sequence"},
		{ErrFuture, "future"},
		{ErrOlder, "older"},
		{ErrConflict, "conflict"},
	} {
		if errors.Is(err, r.err) {
			return r.word
		}
	}
	return "malformed"
}
