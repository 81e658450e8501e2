package swarm

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/anacrolix/torrent"
)

// loop owns what a snapshot is asked for and what is on its way. One goroutine runs it; others post functions to it. All methods
// but post, begin and run are called by that goroutine.
type loop struct {
	s          *Snapshot
	tuning     *tuning
	posts      chan func()
	results    chan *flight
	diskFailed chan struct{}

	base     torrent.PiecePriority   // of pieces that nobody asked for
	set      []torrent.PiecePriority // what the library was told last
	wants    map[*want]struct{}
	waiters  map[int]*waiting // by piece
	asked    map[int]int      // how many wants and waiters cover the piece
	flights  flights
	origins  originSet
	schedule *schedule
	buffers  sync.Pool // of *[]byte, a piece long, for origins

	started      time.Time
	received     int64 // payload bytes from origins at lastProgress
	lastProgress time.Time
	fromPeers    int64 // payload bytes from peers at lastPeers
	lastPeers    time.Time
	probeAt      time.Time // when to try the disk again
	probing      bool
}

type want struct {
	first, last int
	priority    Priority
}

type waiter struct {
	piece  int
	result chan error // capacity 1
}

// waiting is who waits for a piece and since when.
type waiting struct {
	since   time.Time
	waiters map[*waiter]struct{}
}

func newLoop(s *Snapshot) *loop {
	c := s.client
	n := len(s.file.state)
	l := &loop{
		s: s, tuning: c.config.tuning,
		posts: make(chan func(), 64), results: make(chan *flight), diskFailed: make(chan struct{}, 1),
		set:     make([]torrent.PiecePriority, n),
		wants:   make(map[*want]struct{}),
		waiters: make(map[int]*waiting),
		asked:   make(map[int]int),
		flights: flights{byPiece: make(map[int]*flight)},
		origins: originSet{rng: newRand(), backoff: c.config.tuning.backoff, penance: c.config.tuning.penance},
	}
	length := min(s.torrent.PieceLength, s.torrent.Length)
	l.buffers.New = func() any {
		b := make([]byte, length)
		return &b
	}
	self := [20]byte(c.library.PeerID())
	l.schedule = newSchedule(c.config.Origins, self, n, s.torrent.PieceLength, newRand())
	l.schedule.slots = l.tuning.slots
	l.schedule.overdue, l.schedule.patience = l.tuning.overdue, c.config.OriginPatience
	l.schedule.grace = l.tuning.grace
	return l
}

// post hands f to the loop's goroutine. After the snapshot's end f is dropped.
func (l *loop) post(f func()) {
	select {
	case l.posts <- f:
	case <-l.s.ctx.Done():
	}
}

// begin sets the loop up before run.
func (l *loop) begin(o AddOptions) {
	l.started = time.Now()
	l.lastProgress, l.lastPeers = l.started, l.started
	if l.s.find.alone() {
		l.schedule.grace = 0
	}
	l.origins.set(o.Origins)
	if o.Background {
		l.startAll()
	}
	l.s.noteCompletion()
}

func (l *loop) run() {
	defer l.end()
	ticker := time.NewTicker(l.tuning.tick)
	defer ticker.Stop()
	for {
		select {
		case <-l.s.ctx.Done():
			return
		case f := <-l.posts:
			f()
			continue // what needs a decision makes one
		case <-l.s.file.changed:
			l.piecesChanged()
			continue
		case f := <-l.results:
			l.landed(f)
		case <-l.diskFailed:
			l.pause()
		case <-ticker.C:
		}
		l.decide(time.Now())
	}
}

// end waits for what is in flight.
func (l *loop) end() {
	for l.flights.n > 0 {
		f := <-l.results
		l.flights.remove(f)
	}
}

// piecesChanged passes on what happened to pieces.
func (l *loop) piecesChanged() {
	for _, e := range l.s.file.takeEvents() {
		if e.resync {
			l.s.handle.Piece(e.piece).UpdateCompletion()
		}
		if l.s.file.has(e.piece) {
			l.answer(e.piece, nil)
		}
	}
	l.s.noteCompletion()
}

// decide looks at the state of things and starts what should be started.
func (l *loop) decide(now time.Time) {
	if l.s.isComplete() && l.flights.n == 0 && l.s.disk.failed() == nil {
		return
	}
	l.noteProgress(now)
	if l.s.disk.failed() != nil {
		l.tryDisk(now)
		return
	}
	l.releaseStuck(now)
	if l.fetches() {
		l.fetch(now)
	}
}

// noteProgress remembers when payload last arrived.
func (l *loop) noteProgress(now time.Time) {
	stats := l.s.handle.Stats()
	if n := stats.PeerConns.BytesReadUsefulData.Int64(); n != l.fromPeers {
		l.fromPeers, l.lastPeers, l.lastProgress = n, now, now
	}
	if n := l.s.fromOrigin.Load(); n != l.received {
		l.received, l.lastProgress = n, now
	}
}

func (l *loop) startAll() {
	l.base = torrent.PiecePriorityNormal
	// One call for all is much cheaper than one for each.
	l.s.handle.DownloadAll()
	for i, p := range l.set {
		if p == torrent.PiecePriorityNone {
			l.set[i] = l.base
		}
		l.prioritise(i)
	}
	l.lastProgress = time.Now()
	l.lastPeers = l.lastProgress
}

func (l *loop) setOrigins(urls []string) {
	l.origins.set(urls)
	l.decide(time.Now())
}

func (l *loop) addWant(w *want) {
	l.wants[w] = struct{}{}
	for i := w.first; i <= w.last; i++ {
		l.asked[i]++
		l.prioritise(i)
	}
	l.decide(time.Now())
}

func (l *loop) removeWant(w *want) {
	delete(l.wants, w)
	for i := w.first; i <= w.last; i++ {
		l.unask(i)
	}
}

func (l *loop) unask(i int) {
	if l.asked[i]--; l.asked[i] == 0 {
		delete(l.asked, i)
	}
	l.prioritise(i)
}

func (l *loop) addWaiter(w *waiter) {
	if l.s.file.has(w.piece) {
		w.result <- nil
		return
	}
	if err := l.s.disk.failed(); err != nil {
		w.result <- err
		return
	}
	if l.waiters[w.piece] == nil {
		l.waiters[w.piece] = &waiting{since: time.Now(), waiters: make(map[*waiter]struct{})}
		l.asked[w.piece]++
	}
	l.waiters[w.piece].waiters[w] = struct{}{}
	l.prioritise(w.piece)
	l.decide(time.Now())
}

func (l *loop) removeWaiter(w *waiter) {
	p := l.waiters[w.piece]
	if p == nil {
		return
	}
	delete(p.waiters, w)
	if len(p.waiters) == 0 {
		delete(l.waiters, w.piece)
		l.unask(w.piece)
	}
}

// answer ends the wait for piece i.
func (l *loop) answer(i int, err error) {
	p := l.waiters[i]
	if p == nil {
		return
	}
	for w := range p.waiters {
		w.result <- err
	}
	delete(l.waiters, i)
	l.unask(i)
}

// prioritise tells the library how much piece i is wanted from peers.
func (l *loop) prioritise(i int) {
	p := l.priority(i)
	if p != l.set[i] {
		l.set[i] = p
		l.s.handle.Piece(i).SetPriority(p)
	}
}

func (l *loop) priority(i int) torrent.PiecePriority {
	if l.waiters[i] != nil {
		return torrent.PiecePriorityNow
	}
	if f := l.flights.byPiece[i]; f != nil && !f.stuck {
		return torrent.PiecePriorityNone // it comes from an origin
	}
	p := l.base
	if l.asked[i] == 0 {
		return p
	}
	for w := range l.wants {
		if i >= w.first && i <= w.last {
			p.Raise(map[Priority]torrent.PiecePriority{
				Later: torrent.PiecePriorityHigh, Soon: torrent.PiecePriorityReadahead,
			}[w.priority])
		}
	}
	return p
}

// pause stops fetching because the disk cannot be written.
func (l *loop) pause() {
	err := l.s.disk.failed()
	if err == nil {
		return
	}
	l.s.client.log.Error("fetching pauses", "file", l.s.file.path, "error", err)
	l.s.handle.DisallowDataDownload()
	for i := range l.waiters {
		l.answer(i, err)
	}
	l.probeAt = time.Now().Add(l.tuning.diskRetry)
}

// tryDisk looks from time to time whether the disk can be written again.
func (l *loop) tryDisk(now time.Time) {
	if l.probing || now.Before(l.probeAt) {
		return
	}
	l.probing = true
	l.s.wg.Go(func() {
		err := l.probe()
		l.post(func() { l.probed(err) })
	})
}

func (l *loop) probed(err error) {
	l.probing = false
	if err != nil {
		l.probeAt = time.Now().Add(l.tuning.diskRetry)
		return
	}
	l.s.client.log.Info("fetching goes on: the disk can be written again", "file", l.s.file.path)
	l.s.disk.resume()
	l.s.handle.AllowDataDownload()
	l.decide(time.Now())
}

// probe writes and deletes a small file.
func (l *loop) probe() error {
	path := filepath.Join(filepath.Dir(l.s.file.path), "."+l.s.torrent.InfoHash.String()+".probe")
	f, err := l.tuning.open(path)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, min(1<<20, l.s.torrent.PieceLength)), 0)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), os.Remove(path))
}
