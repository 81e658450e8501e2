package publish

import (
	"context"
	"errors"
	"time"
)

// renewals begins to renew the lease, and to take it again when it was lost, until close.
func (l *lease) renewals() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running != nil {
		return
	}
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	l.running = make(chan struct{})
	go l.run(ctx, l.running)
}

func (l *lease) run(ctx context.Context, ended chan<- struct{}) {
	defer close(ended)
	tick := time.NewTicker(l.lasts / renewalsALease)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			l.again(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// again renews the lease, or takes it again. A store that is away changes nothing until the lease has expired.
func (l *lease) again(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, l.lasts/renewalsALease)
	defer cancel()
	if l.enter(ctx) != nil {
		return // somebody else asks the store
	}
	err := l.obtain(ctx)
	l.leave()
	switch {
	case errors.Is(err, ErrHeld):
		l.lose(ctx, err)
	case err != nil && !errors.Is(ctx.Err(), context.Canceled):
		l.log.WarnContext(ctx, "the channel's lease is not renewed; trying again", "channel", l.salt, "valid", l.valid(), "error", err)
	}
}

// lose notes that another producer has the lease, and ends the publication under way.
func (l *lease) lose(ctx context.Context, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rival == nil {
		l.log.ErrorContext(ctx, "another producer has taken the channel; nothing is signed here until its lease ends",
			"channel", l.salt, "error", err)
	}
	l.until, l.rival = time.Time{}, err
	if l.losing != nil {
		l.losing(err)
	}
}
