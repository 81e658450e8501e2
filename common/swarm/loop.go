package swarm

import (
	"sync"
	"time"

	"github.com/anacrolix/torrent"

	"snapswarm/common/swarm/schedule"
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
	mending  map[int]struct{} // damaged pieces
	asked    map[int]int      // how many wants, waiters and damages cover the piece
	flights  flights
	origins  originSet
	schedule *schedule.Rule
	buffers  sync.Pool // of *[]byte, a piece long, for origins

	neighbours neighbours

	started      time.Time
	received     int64 // payload bytes from origins at lastProgress
	lastProgress time.Time
	fromPeers    int64     // payload bytes from peers at lastProgress
	lastPeers    time.Time // when peers last brought something, and not too little
	downlink     meter     // of payload from peers
	uplink       meter     // of payload to peers
	probeAt      time.Time // when to try the disk again
	probing      bool
	pausing      bool      // that fetching pauses was said, and that it goes on was not yet
	wellAt       time.Time // when that may be said, unless the disk fails until then; zero while it does
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
		mending: make(map[int]struct{}),
		asked:   make(map[int]int),
		flights: flights{byPiece: make(map[int]*flight)},
		origins: originSet{length: s.torrent.Length, rng: newRand(), backoff: c.config.tuning.backoff, penance: c.config.tuning.penance},
	}
	length := min(s.torrent.PieceLength, s.torrent.Length)
	l.buffers.New = func() any {
		b := make([]byte, length)
		return &b
	}
	self := [20]byte(c.library.PeerID())
	l.schedule = newRule(c.config, self, n, s.torrent.PieceLength, newRand())
	l.neighbours = neighbours{pieces: n, known: make(map[torrent.PeerID]*neighbour)}
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
	l.origins.set(o.Origins)
	if o.Background {
		l.startAll()
	}
	l.mend()
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
			l.abandon(e.piece)
		}
		l.mendPiece(e.piece)
	}
	l.s.noteCompletion()
}

// decide looks at the state of things and starts what should be started.
func (l *loop) decide(now time.Time) {
	l.well(now)
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

// noteProgress remembers when payload last arrived, and how fast it comes and goes.
func (l *loop) noteProgress(now time.Time) {
	stats := l.s.handle.Stats()
	l.uplink.read(now, stats.BytesWrittenData.Int64())
	n := stats.PeerConns.BytesReadUsefulData.Int64()
	l.downlink.read(now, n)
	if n != l.fromPeers {
		l.fromPeers, l.lastProgress = n, now
		if l.downlink.rate >= l.tuning.floor {
			l.lastPeers = now
		}
	}
	if n := l.s.fromOrigin.Load(); n != l.received {
		l.received, l.lastProgress = n, now
	}
}

func (l *loop) startAll() {
	if l.base == torrent.PiecePriorityNormal {
		return
	}
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

// stopAll leaves what readers ask for; what is in flight from origins still arrives.
func (l *loop) stopAll() {
	l.base = torrent.PiecePriorityNone
	l.s.handle.CancelPieces(0, len(l.set))
	for i := range l.set {
		l.set[i] = torrent.PiecePriorityNone
		l.prioritise(i)
	}
}

func (l *loop) setOrigins(urls []string) {
	l.origins.set(urls)
	l.decide(time.Now())
}
