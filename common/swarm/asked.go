package swarm

import (
	"time"

	"github.com/anacrolix/torrent"
)

// What readers ask for, as the loop keeps it. All of this runs in the loop's goroutine.

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
	if _, ok := l.mending[i]; ok {
		p.Raise(torrent.PiecePriorityHigh)
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
