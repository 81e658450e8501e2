package pointer

import (
	"context"
	"sync"
	"time"

	"snapswarm/common/snapshot"
)

// lateAnswers asks slow sources in the background, each for one channel once at a time, and keeps
// what they find until the next round: a quick source with an old record must not hide for ever that
// a slow one has a newer.
type lateAnswers struct {
	timeout time.Duration
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu      sync.Mutex // guards what follows
	asking  map[lateKey]bool
	answers map[lateKey]reply
}

// lateKey is a channel and the index of a source.
type lateKey struct {
	channel snapshot.Channel
	index   int
}

func newLateAnswers(timeout time.Duration) *lateAnswers {
	ctx, cancel := context.WithCancel(context.Background())
	return &lateAnswers{
		timeout: timeout, ctx: ctx, cancel: cancel,
		asking: make(map[lateKey]bool), answers: make(map[lateKey]reply),
	}
}

// ask begins to ask the sources that were late in round.
func (l *lateAnswers) ask(sources []Source, round *round) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range sources {
		key := lateKey{round.ch, i}
		if !round.result.Answers[i].Late || l.asking[key] || l.ctx.Err() != nil {
			continue
		}
		l.asking[key] = true
		l.wg.Go(func() { l.lookup(key, s) })
	}
}

func (l *lateAnswers) lookup(key lateKey, s Source) {
	ctx, cancel := context.WithTimeout(l.ctx, l.timeout)
	defer cancel()
	rep := lookup(ctx, key.index, s, key.channel)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.asking, key)
	if len(rep.records) > 0 {
		l.answers[key] = rep
	}
}

// take hands out what was found of ch since the last time.
func (l *lateAnswers) take(ch snapshot.Channel) []reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	var replies []reply
	for key, rep := range l.answers {
		if key.channel == ch {
			replies = append(replies, rep)
			delete(l.answers, key)
		}
	}
	return replies
}

// close ends all lookups and waits for them.
func (l *lateAnswers) close() {
	l.mu.Lock() // no lookup begins after this
	l.cancel()
	l.mu.Unlock()
	l.wg.Wait()
}
