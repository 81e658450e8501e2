package follow

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"snapswarm/common/snapshot"
)

// act begins one action of plan. cp is nil only for open.
func (c *channel) act(ctx context.Context, a action, cp Copy, now time.Time) {
	switch a.kind {
	case open:
		c.open(ctx, a)
	case start:
		c.begin(ctx, a, cp, now)
	case stop:
		c.halt(ctx, cp)
	case verify:
		c.verify(ctx, a, cp)
	case extract:
		c.extract(ctx, a, cp)
	case discard:
		c.discard(ctx, a, cp)
	}
}

// job is work on one version that runs beside the loop.
type job struct {
	action
	about string        // what a fault of it is about
	limit time.Duration // between attempts
	work  func() error
	then  func(error) // in the loop
}

func (c *channel) do(ctx context.Context, j job) {
	c.working[j.infoHash] = j.kind
	c.beside(ctx, func() func() {
		err := j.work()
		return func() {
			delete(c.working, j.infoHash)
			if err != nil && ctx.Err() != nil {
				return // stopped, not failed
			}
			c.fault(j.about, err)
			c.attempt(j.action, err, j.limit)
			if j.then != nil {
				j.then(err)
			}
		}
	})
}

// attempt notes when a is tried again.
func (c *channel) attempt(a action, err error, limit time.Duration) {
	if err == nil {
		delete(c.attempts, a)
		return
	}
	if c.attempts[a] == nil {
		c.attempts[a] = new(attempt)
	}
	c.attempts[a].fail(time.Now(), limit)
}

func (c *channel) open(ctx context.Context, a action) {
	rec, within := c.record, openWithin
	if c.attempts[a] == nil {
		within = openFirst
	}
	c.do(ctx, job{action: a, about: "torrent", limit: lastRetry, work: func() error {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		_, err := c.cfg.Peer.Open(ctx, c.ch, rec)
		return err
	}})
}

// begin downloads cp if it fits on the disk.
func (c *channel) begin(ctx context.Context, a action, cp Copy, now time.Time) {
	err := c.cfg.disks.room(filepath.Dir(cp.Path()), "the rest of "+string(cp.Version()), missing(cp))
	c.fault("disk space", err)
	c.attempt(a, err, lastRetry)
	if err != nil {
		return
	}
	c.log.InfoContext(ctx, "download begins", "version", cp.Version(), "bytes", cp.Torrent().Length, "present", cp.Completed())
	cp.Start()
	c.transfer = watch(cp, c.cfg.Progress, c.label("get"), now)
}

// halt ends the download of a version that is not wanted any more. What is here of it is seeded.
func (c *channel) halt(ctx context.Context, cp Copy) {
	c.log.InfoContext(ctx, "download ends for a newer version", "version", cp.Version(), "present", cp.Completed())
	cp.Stop()
	c.transfer.task.Cancel()
	c.transfer = nil
	c.fault("download", nil)
}

func (c *channel) verify(ctx context.Context, a action, cp Copy) {
	c.do(ctx, job{a, verifying(cp.Version()), longRetry, func() error { return c.verified(ctx, cp) }, func(err error) {
		v := c.verdicts[a.infoHash]
		v.verified, v.broken = err == nil, errors.Is(err, ErrVerification)
		c.verdicts[a.infoHash] = v
		if err == nil {
			c.log.InfoContext(ctx, "snapshot complete and verified", "version", cp.Version(), "path", cp.Path())
		}
	}})
}

// verified hashes the archive of cp and shows how far it is.
func (c *channel) verified(ctx context.Context, cp Copy) error {
	task := c.cfg.Progress.Start(c.label("verify"), cp.Torrent().Length)
	defer task.Cancel() // says nothing after Done
	err := verifyArchive(ctx, cp, c.seals, task)
	if err == nil {
		task.Done()
	}
	return err
}

// verifying names faults of a verification.
func verifying(v snapshot.Version) string { return "verification of " + string(v) }

func (c *channel) extract(ctx context.Context, a action, cp Copy) {
	work := func() error {
		_, err := c.unpacked(ctx, cp, c.verified)
		return err
	}
	c.do(ctx, job{a, "extraction", longRetry, work, func(err error) {
		if errors.Is(err, errMending) { // it is fetched and verified before the next attempt, which need not wait
			c.forget(a.infoHash)
			return
		}
		v := c.verdicts[a.infoHash]
		v.extracted = err == nil || errors.Is(err, ErrNotPacked)
		c.verdicts[a.infoHash] = v
	}})
}

// unpacked unpacks cp and then removes what was unpacked of versions that are no longer here. A seal says nothing of a disk that
// rots: when the content is not what was signed, recheck hashes the archive anew, and only if that succeeds and nothing has
// changed is the publisher at fault.
func (c *channel) unpacked(ctx context.Context, cp Copy, recheck func(context.Context, Copy) error) (string, error) {
	path, err := c.unpack.run(ctx, cp, c.cfg.Progress, c.label("extract"))
	if errors.Is(err, errContent) {
		c.log.WarnContext(ctx, "unpacking failed, the archive is checked again", "version", cp.Version(), "err", err)
		if err := errors.Join(c.seals.drop(cp.Torrent().InfoHash), recheck(ctx, cp)); err != nil {
			return "", err
		}
		path, err = c.unpack.run(ctx, cp, c.cfg.Progress, c.label("extract"))
	}
	if errors.Is(err, errContent) {
		return "", fmt.Errorf("%w: the archive was hashed again and is what was signed, but its content is not, so the publisher has to pack it again: %w", ErrVerification, err)
	}
	if err != nil {
		return "", err
	}
	return path, c.prune()
}

func (c *channel) prune() error {
	if c.unpack == nil {
		return nil
	}
	stay := make(map[snapshot.Version]bool)
	for _, cp := range c.copies() {
		stay[cp.Version()] = true
	}
	return c.unpack.prune(stay)
}

func (c *channel) discard(ctx context.Context, a action, cp Copy) {
	stats := cp.Stats()
	c.do(ctx, job{a, "removal of " + string(cp.Version()), longRetry, func() error { return c.remove(ctx, cp) }, func(err error) {
		if err != nil {
			return
		}
		c.past = add(c.past, stats)
		c.forget(a.infoHash)
		delete(c.faults, verifying(cp.Version()))
		c.log.InfoContext(ctx, "old version removed", "version", cp.Version())
	}})
}

// remove deletes what belongs to cp: first the seal, so that a crash leaves nothing that looks better than it is.
func (c *channel) remove(ctx context.Context, cp Copy) error {
	if err := c.seals.drop(cp.Torrent().InfoHash); err != nil {
		return err
	}
	return errors.Join(c.cfg.Peer.Discard(ctx, cp), c.prune())
}

func (c *channel) forget(ih snapshot.InfoHash) {
	delete(c.verdicts, ih)
	for a := range c.attempts {
		if a.infoHash == ih {
			delete(c.attempts, a)
		}
	}
}

func add(a, b Stats) Stats {
	return Stats{FromPeers: a.FromPeers + b.FromPeers, FromOrigin: a.FromOrigin + b.FromOrigin, Uploaded: a.Uploaded + b.Uploaded}
}
