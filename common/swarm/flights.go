package swarm

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"snapswarm/common/swarm/schedule"
)

// urgentSlots is how many requests to origins readers may have beyond the schedule's.
const urgentSlots = 4

// flight is one request to an origin.
type flight struct {
	run       schedule.Run
	origin    *origin
	started   time.Time
	urgent    bool      // for readers
	stuck     bool      // peers may bring its pieces as well
	sounds    bool      // finds out first how deep the origin's ranges are
	depth     int64     // what it found; 0: nothing
	asked     time.Time // for the pieces
	cancel    context.CancelFunc
	delivered atomic.Int32
	err       error
}

// flights are the requests under way.
type flights struct {
	byPiece map[int]*flight
	n       int
	urgent  int
}

func (fs *flights) add(f *flight) {
	fs.n++
	if f.urgent {
		fs.urgent++
	}
	for i := f.run.First; i < f.run.First+f.run.N; i++ {
		fs.byPiece[i] = f
	}
}

func (fs *flights) remove(f *flight) {
	fs.n--
	if f.urgent {
		fs.urgent--
	}
	for i := f.run.First; i < f.run.First+f.run.N; i++ {
		if fs.byPiece[i] == f {
			delete(fs.byPiece, i)
		}
	}
}

// fetches reports whether origins are to be asked at all.
func (l *loop) fetches() bool {
	if l.s.client.config.Origins == OriginNever || len(l.origins.list) == 0 {
		return false
	}
	return len(l.asked) > 0 || l.base > 0 && !l.s.isComplete()
}

// wanted reports whether piece i should be got by somebody.
func (l *loop) wanted(i int) bool {
	return l.s.file.missing(i) && l.flights.byPiece[i] == nil && (l.base > 0 || l.asked[i] > 0)
}

// fetch starts requests: for readers first, then what the schedule picks.
func (l *loop) fetch(now time.Time) {
	v := l.view(now)
	for _, i := range l.urgent(now, v.Peers) {
		if l.flights.urgent >= urgentSlots {
			break
		}
		l.launch(now, schedule.Run{First: i, N: 1}, true)
		v.Wanted.Remove(i)
	}
	for _, r := range l.schedule.Pick(v) {
		l.launch(now, r, false)
	}
}

// behind is the offset behind piece i.
func (l *loop) behind(i int) int64 { return l.s.file.offset(i) + l.s.torrent.PieceSize(i) }

// urgent is what readers need and peers do not bring: what they wait for, then what they come to next.
func (l *loop) urgent(now time.Time, peers []schedule.Peer) []int {
	var pieces []int
	for i, w := range l.waiters {
		if l.wanted(i) && (!claimed(peers, i) || now.Sub(w.since) >= l.tuning.hedge) {
			pieces = append(pieces, i)
		}
	}
	slices.SortFunc(pieces, func(a, b int) int {
		return cmp.Or(l.waiters[a].since.Compare(l.waiters[b].since), cmp.Compare(a, b))
	})
	soon := slices.SortedFunc(maps.Keys(l.wants), func(a, b *want) int { return cmp.Compare(a.first, b.first) })
	for _, w := range soon {
		for i := w.first; i <= w.last && w.priority == Soon && len(pieces) < urgentSlots; i++ {
			if l.waiters[i] == nil && l.wanted(i) && !claimed(peers, i) {
				pieces = append(pieces, i)
			}
		}
	}
	return pieces
}

// launch starts a request, if an origin may be asked now.
func (l *loop) launch(now time.Time, r schedule.Run, urgent bool) {
	if l.flights.byPiece[r.First] != nil {
		return // an urgent one took it a moment ago
	}
	o := l.origins.choose(now, l.behind(r.First+r.N-1))
	if o == nil {
		return
	}
	ctx, cancel := context.WithCancel(l.s.ctx)
	f := &flight{run: r, origin: o, started: now, urgent: urgent, sounds: !o.sounded, cancel: cancel}
	o.inFlight++
	l.flights.add(f)
	for i := r.First; i < r.First+r.N; i++ {
		l.prioritise(i)
	}
	fetcher := l.fetcher(f)
	l.s.wg.Go(func() {
		f.err = fetcher.fly(ctx, f)
		cancel()
		l.results <- f // the loop takes results until all have come
	})
}

// fly sounds the origin if that has to be done, and fetches.
func (f *fetcher) fly(ctx context.Context, to *flight) error {
	if to.sounds {
		var err error
		if to.depth, err = f.sound(ctx, to.origin.url); err != nil {
			return err
		}
		if _, last := f.span(to.run); last >= to.depth {
			return &fetchError{result: fetchShallow, err: errShallow}
		}
	}
	to.asked = time.Now()
	return f.fetch(ctx, to.origin.url, to.run)
}

// abandon ends a request whose pieces peers have brought meanwhile.
func (l *loop) abandon(piece int) {
	f := l.flights.byPiece[piece]
	if f == nil || !f.stuck && !f.urgent {
		return
	}
	for i := f.run.First; i < f.run.First+f.run.N; i++ {
		if !l.s.file.has(i) {
			return
		}
	}
	f.cancel()
}

func (l *loop) fetcher(f *flight) *fetcher {
	c := l.s.client
	return &fetcher{
		client: c.config.HTTP, userAgent: c.config.UserAgent, torrent: l.s.torrent,
		idle: l.tuning.idle, limit: c.download, memory: c.memory, buffers: &l.buffers, received: &l.s.fromOrigin,
		deliver: func(ctx context.Context, i int, b []byte) error {
			if err := l.s.commit(ctx, i, b); err != nil {
				return err
			}
			f.delivered.Add(1)
			return nil
		},
	}
}

// commit writes a verified piece, waiting for the disk if it has to.
func (s *Snapshot) commit(ctx context.Context, i int, b []byte) error {
	for {
		err := s.file.commit(i, b)
		if err == nil || !errors.Is(err, ErrDisk) {
			return err
		}
		if err := s.disk.wait(ctx); err != nil {
			return err
		}
	}
}

// landed takes note of how a request ended.
func (l *loop) landed(f *flight) {
	inFlight := l.flights.n - l.flights.urgent
	l.flights.remove(f)
	f.origin.inFlight--
	l.sounded(f)
	if f.err == nil {
		first, last := f.run.First, f.run.First+f.run.N-1
		bytes, now := l.behind(last)-l.s.file.offset(first), time.Now()
		f.origin.timed(now.Sub(f.asked), bytes)
		if !f.urgent {
			l.schedule.Landed(f.started, now, bytes, inFlight)
		}
	}
	for n := range f.delivered.Load() {
		l.origins.succeeded(f.origin, l.s.torrent.PieceSize(f.run.First+int(n)))
	}
	l.judge(f)
	for i := f.run.First; i < f.run.First+f.run.N; i++ {
		l.prioritise(i)
	}
}

// sounded takes note of how deep the origin's ranges are.
func (l *loop) sounded(f *flight) {
	if f.depth == 0 {
		return
	}
	l.origins.reaches(f.origin, f.depth, time.Now())
	if f.depth < l.s.torrent.Length {
		l.s.client.log.Warn("origin does not serve ranges of the whole file; the rest comes from others",
			"origin", f.origin.url, "file", l.s.file.path, "up to", f.depth, "of", l.s.torrent.Length)
	}
}

// judge counts a failure against the origin.
func (l *loop) judge(f *flight) {
	c := l.s.client
	var e *fetchError
	switch {
	case f.err == nil:
		c.metrics.originRequest(fetchOK)
		return
	case !errors.As(f.err, &e): // the disk, or the snapshot's end
		return
	case e.result == fetchCancelled:
		return
	case e.result == fetchShallow:
		c.metrics.originRequest(e.result)
		return
	}
	c.metrics.originRequest(e.result)
	l.schedule.Failed(f.run)
	if e.result == fetchWrongBytes {
		c.metrics.badPiece(fromOrigin)
	}
	first := f.origin.failures == 0
	l.origins.failed(f.origin, f.started, time.Now(), e)
	switch {
	case e.result.offence():
		c.log.Warn("origin lies; it is left alone", "error", e, "file", l.s.file.path, "until", f.origin.retryAt)
	case first:
		c.log.Info("origin fails; it is asked again", "error", e, "file", l.s.file.path, "at", f.origin.retryAt)
	}
}

// releaseStuck lets peers bring what an origin has not brought for long.
func (l *loop) releaseStuck(now time.Time) {
	for i, f := range l.flights.byPiece {
		if !f.stuck && now.Sub(f.started) >= l.tuning.stuck {
			f.stuck = true
		}
		if f.stuck {
			l.prioritise(i)
		}
	}
}
