package follow

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// channel follows one channel. Its loop owns everything but what mu guards; jobs run beside it and hand their results
// to events.
type channel struct {
	cfg    Config
	ch     snapshot.Channel
	log    *slog.Logger
	seals  seals
	unpack *unpacker // nil: nothing is unpacked

	events chan func() // run by the loop
	jobs   sync.WaitGroup

	record   pointer.Record // the newest; Seq 0 while there is none
	pointer  pointer.Pointer
	expired  bool // said so
	searches int  // that failed in a row
	transfer *transfer
	verdicts map[snapshot.InfoHash]verdict
	working  map[snapshot.InfoHash]kind // the job that runs on a version
	attempts map[action]*attempt        // what failed, and when it is tried again
	faults   map[string]error           // what is wrong now, by what it is about
	past     Stats                      // traffic of what was discarded

	mu     sync.Mutex
	status Status // guarded by mu
}

// verdict is what was found out about a complete version.
type verdict struct{ verified, broken, extracted bool }

func newChannel(cfg Config, ch snapshot.Channel) *channel {
	c := &channel{
		cfg:      cfg,
		ch:       ch,
		log:      cfg.Log.With("channel", ch.Salt),
		seals:    sealsOf(cfg.DataDir, ch.Salt, cfg.Log.With("channel", ch.Salt)),
		events:   make(chan func()),
		verdicts: make(map[snapshot.InfoHash]verdict),
		working:  make(map[snapshot.InfoHash]kind),
		attempts: make(map[action]*attempt),
		faults:   make(map[string]error),
		status:   Status{Channel: ch, State: Searching, Beat: time.Now()},
	}
	if cfg.Extract {
		c.unpack = newUnpacker(cfg, ch.Salt, c.log)
	}
	return c
}

// run follows the channel until ctx ends, and returns when its jobs have.
func (c *channel) run(ctx context.Context) {
	defer c.leave()
	c.remember(ctx)
	search, reput := time.NewTimer(0), time.NewTimer(jitter(reputEvery))
	defer search.Stop()
	defer reput.Stop()
	turn := time.NewTicker(tick)
	defer turn.Stop()
	for {
		c.turn(ctx)
		select {
		case <-ctx.Done():
			return
		case <-search.C:
			c.search(ctx, search)
		case <-reput.C:
			c.reput(ctx)
			reput.Reset(jitter(reputEvery))
		case event := <-c.events:
			event()
		case <-turn.C:
		}
	}
}

func (c *channel) leave() {
	c.jobs.Wait()
	if c.transfer != nil {
		c.transfer.task.Cancel()
	}
}

// beside runs job in a goroutine and then what it returns in the loop.
func (c *channel) beside(ctx context.Context, job func() func()) {
	c.jobs.Go(func() {
		then := job()
		select {
		case c.events <- then:
		case <-ctx.Done():
		}
	})
}

// turn looks at what is here and does what plan says.
func (c *channel) turn(ctx context.Context) {
	now := time.Now()
	c.look(now)
	copies := c.copies()
	for _, a := range plan(c.held(copies), c.latest(), now, c.policy()) {
		if at := c.attempts[a]; c.working[a.infoHash] == "" && (at == nil || !now.Before(at.next)) {
			c.act(ctx, a, copies[a.infoHash], now)
		}
	}
	c.report(now)
}

// latest is the info-hash of the version that the pointer names. Before its torrent is here, it is the one in the pointer, which may
// be that of the torrent's v2 part.
func (c *channel) latest() snapshot.InfoHash {
	for _, cp := range c.cfg.Peer.Copies(c.ch.Salt) {
		if c.pointer.Names(cp.Torrent()) {
			return cp.Torrent().InfoHash
		}
	}
	return c.pointer.InfoHash
}

func (c *channel) policy() policy {
	return policy{
		retain: c.cfg.Retain, promised: c.cfg.KeepPromised,
		extract: c.unpack != nil, free: c.cfg.disks.free(c.cfg.DataDir),
	}
}

// look watches the download under way.
func (c *channel) look(now time.Time) {
	t := c.transfer
	if t == nil {
		return
	}
	t.look(now)
	if isDone(t.copy) {
		t.task.Done()
		c.transfer = nil
		c.fault("download", nil)
		return
	}
	c.fault("download", t.fault(now, c.cfg.StallTimeout))
}

func (c *channel) copies() map[snapshot.InfoHash]Copy {
	out := make(map[snapshot.InfoHash]Copy)
	for _, cp := range c.cfg.Peer.Copies(c.ch.Salt) {
		out[cp.Torrent().InfoHash] = cp
	}
	return out
}

// held describes the copies for plan.
func (c *channel) held(copies map[snapshot.InfoHash]Copy) []held {
	out := make([]held, 0, len(copies))
	for ih, cp := range copies {
		h := held{infoHash: ih, version: cp.Version(), length: cp.Torrent().Length, completed: cp.Completed(), complete: isDone(cp)}
		if d := cp.Torrent().Description; d != nil {
			h.retain, h.previous = d.Retain, d.Previous
		}
		h.withdrawn = !c.pointer.Created.IsZero() && cp.Version().Time().After(c.pointer.Created) && !c.pointer.Names(cp.Torrent())
		if t := c.transfer; t != nil && t.copy.Torrent().InfoHash == ih {
			h.running, h.stalled = true, c.faults["download"] != nil && t.last.Disk == nil
		}
		if h.complete {
			v := c.verdict(cp)
			h.verified, h.broken, h.extracted = v.verified, v.broken, v.extracted
		} else {
			delete(c.verdicts, ih) // also if it was complete until a piece turned out to be damaged
			h.ailing = cp.Stats().Ailing
		}
		h.busy = c.working[ih] != ""
		out = append(out, h)
	}
	return out
}

// verdict looks at the disk once per complete copy.
func (c *channel) verdict(cp Copy) verdict {
	ih := cp.Torrent().InfoHash
	v, ok := c.verdicts[ih]
	if !ok {
		v.verified = intact(cp, c.seals)
		v.extracted = c.unpack != nil && c.unpack.done(cp)
		c.verdicts[ih] = v
	}
	return v
}

// fault notes what is wrong with something, or, with a nil err, that nothing is any more. It logs what changed.
func (c *channel) fault(about string, err error) {
	before := c.faults[about]
	switch {
	case err == nil && before != nil:
		delete(c.faults, about)
		c.log.Info("recovered", "about", about, "was", before)
	case err != nil && before == nil:
		c.log.Warn("something is wrong", "about", about, "err", err)
		c.faults[about] = err
	case err != nil:
		c.faults[about] = err
	}
}

// label names work in progress lines, shortly: a terminal of 80 columns has to show where the data comes from as well.
func (c *channel) label(what string) string { return what + " " + c.ch.Salt }
