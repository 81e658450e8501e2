package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"snapswarm/common/bucket"
)

// A lease is the right of one producer, of all machines that have the channel's key, to publish. It is the object
// <salt>/lease in the bucket, written only under conditions ([bucket.Store].PutIf): taken before anything is uploaded, renewed
// while the producer lives, and marked as released at its end. It is not deleted then: not every S3 server deletes under a
// condition, and a delete without one could hit what somebody else has written meanwhile.
//
// # Clocks
//
// Whether another's lease has expired is told by the store's clock alone: its answer says when the lease was stored and what
// time it is now. How long the lease lasts is the difference of two times that its owner wrote. So no two machines' clocks are
// ever compared, however wrong they are. The owner counts from before it asked for the renewal, by its monotonic clock and by
// its wall clock, whichever is further (the former stands still while a machine sleeps), and others wait for a margin on top,
// a tenth and some seconds: for clocks that run at different rates, and for times that HTTP gives in full seconds. An owner
// therefore knows that its lease has expired before anybody else may take it.
//
// A process can be paused between looking at its lease and using it, and no clock helps against that. So the lease saves work and
// explains; what keeps a newer pointer from being overwritten is the condition under which the pointer itself is put.

const (
	leaseFormat    = 1
	maxLeaseSize   = 16 << 10
	renewalsALease = 5               // five in a row have to fail before it is lost
	mostLease      = 24 * time.Hour  // believed of another's
	releaseFor     = 3 * time.Second // whoever stops the process may kill it after 10 s
	leaseAttempts  = 3
)

// lease is this process's. Its methods may be called at once.
type lease struct {
	store bucket.Store
	salt  string
	lasts time.Duration
	mine  leaseRecord // as it was when the process began
	log   *slog.Logger

	busy chan struct{} // holds a token while the store is asked; guards etag
	etag string        // of the record that this process put last; empty before the first

	mu      sync.Mutex              // guards the rest
	until   time.Time               // by our own clock; the zero time when it is not held
	taken   bool                    // it was held at least once
	rival   error                   // why it is not held any more
	losing  context.CancelCauseFunc // ends the publication under way; nil when there is none
	running chan struct{}           // closed when the renewals have ended; nil before they begin
	stop    context.CancelFunc      // ends them
}

func newLease(cfg Config, owner, session string) *lease {
	return &lease{
		store: cfg.Store, salt: cfg.Salt, lasts: cfg.Lease, log: cfg.Log, busy: make(chan struct{}, 1),
		mine: leaseRecord{Format: leaseFormat, Owner: owner, Session: session, Holder: thisProcess()},
	}
}

// hold returns nil when the lease is held, after taking it if need be. Another's lease is a [HeldError].
func (l *lease) hold(ctx context.Context) error {
	if err := l.enter(ctx); err != nil {
		return err
	}
	defer l.leave()
	if l.valid() {
		return nil
	}
	if err := l.obtain(ctx); err != nil {
		return err
	}
	l.renewals()
	return nil
}

func (l *lease) enter(ctx context.Context) error {
	select {
	case l.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *lease) leave() { <-l.busy }

// valid reports whether the lease has not expired, as far as is known here.
func (l *lease) valid() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	return now.Before(l.until) && now.Round(0).Before(l.until.Round(0))
}

// obtain takes or renews the lease. Caller has entered.
func (l *lease) obtain(ctx context.Context) error {
	err := l.renew(ctx)
	for range leaseAttempts {
		if !errors.Is(err, bucket.ErrPrecondition) {
			break
		}
		err = l.take(ctx)
	}
	return err
}

// renew replaces the record that this process put last.
func (l *lease) renew(ctx context.Context) error {
	if l.etag == "" {
		return bucket.ErrPrecondition
	}
	return l.put(ctx, l.etag)
}

// take looks whose the lease is and replaces it if that is allowed. An ErrPrecondition means that somebody was faster.
func (l *lease) take(ctx context.Context) error {
	found, err := l.store.Find(ctx, bucket.LeaseKey(l.salt), maxLeaseSize)
	if errors.Is(err, bucket.ErrNotFound) {
		return l.put(ctx, "")
	}
	if err != nil {
		return fmt.Errorf("look at the lease: %w", err)
	}
	if err := l.mayTake(ctx, found); err != nil {
		return err
	}
	return l.put(ctx, found.ETag)
}

// mayTake is a [HeldError] while the lease is another's. That of the same data directory is ours, because its lock is: the process
// that took it is dead. But one that took it after us holds a copy of the directory.
func (l *lease) mayTake(ctx context.Context, found bucket.Found) error {
	var r leaseRecord
	damaged := json.Unmarshal(found.Body, &r) != nil || r.Format < 1
	switch {
	case damaged:
		l.log.WarnContext(ctx, "the lease is damaged and is replaced", "key", found.Key)
		return nil
	case r.Format > leaseFormat:
		return fmt.Errorf("the lease %s has format %d, which is newer than this program; use the newer one", found.Key, r.Format)
	}
	l.mu.Lock()
	ours := r.Session == l.mine.Session || (r.Owner == l.mine.Owner && !l.taken)
	l.mu.Unlock()
	left := r.left(found)
	switch {
	case ours || r.Released:
	case left > 0:
		return &HeldError{Salt: l.salt, Holder: r.Holder, Until: time.Now().Add(left), Copied: r.Owner == l.mine.Owner}
	default:
		l.log.WarnContext(ctx, "the lease of another producer has expired and is taken over", "channel", l.salt, "holder", r.String())
	}
	return nil
}

// put writes our record over the one with the ETag was.
func (l *lease) put(ctx context.Context, was string) error {
	began := time.Now()
	r := l.mine
	r.Renewed, r.Expires = began.UTC(), began.Add(l.lasts).UTC()
	etag, err := l.write(ctx, r, was)
	if err != nil {
		return err
	}
	l.etag = etag
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rival != nil || !l.taken {
		l.log.InfoContext(ctx, "the channel's lease is taken", "channel", l.salt, "until", r.Expires)
	}
	l.until, l.taken, l.rival = began.Add(l.lasts), true, nil
	return nil
}

func (l *lease) write(ctx context.Context, r leaseRecord, was string) (etag string, err error) {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return "", fmt.Errorf("write the lease: %w", err)
	}
	key := bucket.LeaseKey(l.salt)
	if etag, err = l.store.PutIf(ctx, key, append(b, '\n'), was, bucket.Defaults(key)); err != nil {
		return "", fmt.Errorf("write the lease: %w", err)
	}
	return etag, nil
}

// guard is a context that ends with the loss of the lease. There is one at a time.
func (l *lease) guard(ctx context.Context) (context.Context, context.CancelFunc) {
	guarded, cancel := context.WithCancelCause(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.losing = cancel
	return guarded, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.losing = nil
		cancel(nil)
	}
}

// health is an error unless the lease is held.
func (l *lease) health() (detail string, err error) {
	valid := l.valid()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case valid:
		return "until " + l.until.UTC().Format(time.RFC3339), nil
	case l.rival != nil:
		return "", l.rival
	case l.taken:
		return "", errors.New("it has expired, because the bucket could not be reached")
	}
	return "", errors.New("it was not taken yet")
}

// close ends the renewals and releases the lease. One that cannot be released expires.
func (l *lease) close() {
	l.mu.Lock()
	running, stop := l.running, l.stop
	l.mu.Unlock()
	if running == nil {
		return
	}
	stop()
	<-running
	if !l.valid() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseFor)
	defer cancel()
	r := l.mine
	r.Renewed = time.Now().UTC()
	r.Expires, r.Released = r.Renewed, true
	if _, err := l.write(ctx, r, l.etag); err != nil {
		l.log.Warn("the channel's lease is not released; for others it ends when it expires", "channel", l.salt,
			"lasts", l.lasts, "error", err)
	}
}
