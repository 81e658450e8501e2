package follow

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// Result is what [Once] got.
type Result struct {
	Channel snapshot.Channel
	Version snapshot.Version
	// Archive is the path of the file; Extracted that of what was unpacked, empty if that was not asked for.
	Archive, Extracted string
}

// Path is what the caller wanted: what was unpacked, else the archive.
func (r Result) Path() string {
	if r.Extracted != "" {
		return r.Extracted
	}
	return r.Archive
}

// Once gets the newest version of one channel, complete and verified, unpacks it if cfg says so, and removes versions beyond
// cfg.Retain. What an interrupted run has left is used. Errors wrap those of this package, [pointer.ErrNotFound],
// [pointer.ErrAllRefused], or ctx's cause.
func Once(ctx context.Context, cfg Config, ch snapshot.Channel) (Result, error) {
	cfg = cfg.withDefaults()
	c := newChannel(cfg, ch)
	rec, p, err := c.find(ctx)
	if err != nil {
		return Result{}, err
	}
	if err := fresh(p, cfg, time.Now()); err != nil {
		return Result{}, err
	}
	cp, err := c.opened(ctx, rec)
	if err != nil {
		return Result{}, err
	}
	if err := c.complete(ctx, cp); err != nil {
		return Result{}, err
	}
	result := Result{Channel: ch, Version: cp.Version(), Archive: cp.Path()}
	if c.unpack != nil {
		if result.Extracted, err = c.unpacked(ctx, cp, c.complete); err != nil {
			return Result{}, err
		}
	}
	return result, c.tidy(ctx, cp.Torrent().InfoHash)
}

// find asks for the pointer until there is one, for cfg.FindTimeout.
func (c *channel) find(ctx context.Context) (pointer.Record, pointer.Pointer, error) {
	deadline := time.Now().Add(c.cfg.FindTimeout)
	for failures := 1; ; failures++ {
		res, err := c.cfg.Peer.Resolve(ctx, c.ch)
		switch {
		case err == nil:
			c.log.InfoContext(ctx, "pointer found", "seq", res.Record.Seq, "signed", res.Record.Time(), "expires", expiry(res.Pointer), "source", res.Source)
			return res.Record, res.Pointer, nil
		case ctx.Err() != nil:
			return pointer.Record{}, pointer.Pointer{}, fmt.Errorf("look for the pointer of %s: %w", c.ch.Salt, context.Cause(ctx))
		case !errors.Is(err, pointer.ErrNotFound):
			return pointer.Record{}, pointer.Pointer{}, err
		}
		wait := backoff(failures, lastRetry/4)
		if time.Now().Add(wait).After(deadline) {
			return c.remembered(ctx, res, err)
		}
		c.log.WarnContext(ctx, "no pointer yet", "err", err, "retry_in", wait.Round(time.Second))
		pause(ctx, wait)
	}
}

// remembered goes on with the pointer of an earlier run, if the caller allows.
func (c *channel) remembered(ctx context.Context, res pointer.Resolution, err error) (pointer.Record, pointer.Pointer, error) {
	switch {
	case !res.Known():
		return res.Record, res.Pointer, fmt.Errorf("%w: check CHANNEL, DHT_BOOTSTRAP and BUCKET_URL", err)
	case !c.cfg.AllowStale:
		return res.Record, res.Pointer, fmt.Errorf("%w; the one accepted here earlier, signed %s, is used with --allow-stale",
			err, res.Record.Time().Format(time.RFC3339))
	}
	c.log.WarnContext(ctx, "no source has the pointer; going on with the one accepted earlier", "signed", res.Record.Time(), "err", err)
	return res.Record, res.Pointer, nil
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// fresh refuses what is too old for the caller.
func fresh(p pointer.Pointer, cfg Config, now time.Time) error {
	if p.Stale(now) && !cfg.AllowStale {
		return fmt.Errorf("%w: the newest pointer expired %s, its publisher has not renewed it: --allow-stale takes it all the same",
			ErrStale, p.Expires.Format(time.RFC3339))
	}
	if cfg.MaxAge == 0 {
		return nil
	}
	if p.Created.IsZero() {
		return fmt.Errorf("%w: the pointer does not say when the snapshot was created, so MAX_AGE cannot be held: run without it", ErrStale)
	}
	if age := now.Sub(p.Created); age > cfg.MaxAge {
		return fmt.Errorf("%w: the newest snapshot was created %s, %s ago, more than MAX_AGE %s",
			ErrStale, p.Created.Format(time.RFC3339), age.Truncate(time.Second), cfg.MaxAge)
	}
	return nil
}

// opened gets the torrent. A source that does not answer by then has the data as little as the torrent.
func (c *channel) opened(ctx context.Context, rec pointer.Record) (Copy, error) {
	limited, cancel := context.WithTimeout(ctx, c.cfg.StallTimeout)
	defer cancel()
	cp, err := c.cfg.Peer.Open(limited, c.ch, rec)
	switch {
	case err == nil:
		return cp, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("get the torrent of %s: %w", c.ch.Salt, context.Cause(ctx))
	case isDisk(err):
		return nil, fmt.Errorf("%w: %w", ErrDisk, err)
	case limited.Err() != nil:
		return nil, fmt.Errorf("%w: nobody gave the torrent of the newest snapshot within %s: %s; check BUCKET_URL, SEED_PEERS and the network",
			ErrNoSource, c.cfg.StallTimeout, oneLine(err))
	}
	return nil, err
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// complete downloads and verifies cp. Pieces that turn out to be damaged on disk are fetched again, a few times.
func (c *channel) complete(ctx context.Context, cp Copy) error {
	if isDone(cp) && intact(cp, c.seals) {
		return nil
	}
	const most = 3
	for attempt := 1; ; attempt++ {
		err := c.download(ctx, cp)
		if err == nil {
			err = c.verified(ctx, cp)
		}
		switch {
		case !errors.Is(err, errMending):
			return err
		case attempt == most:
			return fmt.Errorf("%w: %w", ErrDisk, err)
		}
		c.log.WarnContext(ctx, "damaged pieces are fetched again", "version", cp.Version(), "err", err)
	}
}

// download fetches what is missing and returns when every piece is here.
func (c *channel) download(ctx context.Context, cp Copy) error {
	if isDone(cp) {
		return nil
	}
	if err := c.cfg.disks.room(filepath.Dir(cp.Path()), "the rest of "+string(cp.Version()), missing(cp)); err != nil {
		return err
	}
	cp.Start()
	t := watch(cp, c.cfg.Progress, c.label("get"), time.Now())
	defer t.task.Cancel()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("download %s: %w", cp.Version(), context.Cause(ctx))
		case <-cp.Done():
			t.look(time.Now())
			t.task.Done()
			return nil
		case now := <-ticker.C:
			t.look(now)
			if err := t.fault(now, c.cfg.StallTimeout); err != nil {
				return err
			}
		}
	}
}

// tidy removes the versions that need not stay beside latest.
func (c *channel) tidy(ctx context.Context, latest snapshot.InfoHash) error {
	copies := c.copies()
	for _, a := range plan(c.held(copies), latest, time.Now(), c.policy()) {
		if a.kind != discard {
			continue
		}
		cp := copies[a.infoHash]
		if err := c.remove(ctx, cp); err != nil {
			return fmt.Errorf("remove old version %s: %w", cp.Version(), err)
		}
		c.log.InfoContext(ctx, "old version removed", "version", cp.Version())
	}
	return nil
}
