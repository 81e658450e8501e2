package swarm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"snapswarm/common/durable"
)

// scrub reads one snapshot again and again, to find bytes that rotted on disk: nothing else would notice them before somebody reads
// them. One goroutine runs it.
type scrub struct {
	s    *Snapshot
	file *pieceFile
	path string
	read *rereader

	state scrubState // the goroutine writes it, under the scrubber's lock

	saved    scrubState
	savedAt  time.Time
	anything bool // was read in this round
}

func newScrub(s *Snapshot) *scrub {
	c := &scrub{s: s, file: s.file, path: scrubPath(filepath.Dir(s.file.path), s.torrent.InfoHash)}
	state, err := readScrubState(c.path, len(s.file.state))
	if err != nil {
		aside, e := durable.SetAside(c.path)
		s.client.log.Warn("how far the scrubber was is not known: it begins again", "file", aside, "error", errors.Join(err, e))
	}
	if state.since.IsZero() {
		state.since = time.Now()
	}
	c.state, c.saved = state, state
	return c
}

// before says whose turn it is.
func (c *scrub) before(other *scrub) bool {
	if !c.state.since.Equal(other.state.since) {
		return c.state.since.Before(other.state.since)
	}
	return c.path < other.path
}

// now is how far it is; it may be called on nil.
func (c *scrub) now() scrubState {
	if c == nil {
		return scrubState{}
	}
	r := c.s.client.scrubber
	r.mu.Lock()
	defer r.mu.Unlock()
	return c.state
}

// run goes round until ctx ends.
func (c *scrub) run(ctx context.Context) {
	c.read = newRereader(c.file.data)
	defer func() {
		_ = c.read.close() // it was only read
		c.save()
	}()
	for c.rest(ctx) {
		for i := c.next(c.state.next); i >= 0; i = c.next(i + 1) {
			if !c.piece(ctx, i) {
				return
			}
		}
		c.roundEnds()
	}
}

// rest waits until the next round is due, or the one under way goes on; false when ctx has ended.
func (c *scrub) rest(ctx context.Context) bool {
	pause := c.s.client.config.tuning.scrubRest
	if pause = min(max(pause-time.Since(c.state.since), 0), pause); c.state.next > 0 {
		pause = 0
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// next is the first piece from i on that is present, -1 if none is.
func (c *scrub) next(i int) int {
	for ; i < len(c.file.state); i++ {
		if c.file.has(i) {
			return i
		}
	}
	return -1
}

// piece waits for its turn and reads piece i. It returns false when ctx has ended.
func (c *scrub) piece(ctx context.Context, i int) bool {
	r := c.s.client.scrubber
	if r.turn(ctx, c) != nil {
		return false
	}
	defer r.done()
	writes := c.file.writes[i].Load()
	right, err := c.hash(ctx, i)
	if ctx.Err() != nil {
		return false
	}
	c.s.client.metrics.scrubbed(right, err, c.file.torrent.PieceSize(i))
	if !right {
		c.found(i, writes, err)
	}
	c.moved(i + 1)
	return true
}

// hash reads piece i at the rate allowed. It has the turn.
func (c *scrub) hash(ctx context.Context, i int) (right bool, err error) {
	r, check := c.s.client.scrubber, c.file.torrent.NewCheck(i)
	off, end := c.file.offset(i), c.file.offset(i)+c.file.torrent.PieceSize(i)
	for off < end {
		n := int(min(rereadStep, end-off))
		if err := r.limit.WaitN(ctx, n); err != nil {
			return false, err
		}
		b, err := c.read.read(r.buffer, off, n)
		if err != nil {
			return false, fmt.Errorf("read %s at %d: %w", c.file.path, off, err)
		}
		_, _ = check.Write(b)
		off += int64(n)
	}
	return check.Right(), nil
}

// found is what happens to a piece that is not what it was: nobody gets it any more from now on, also after a crash, and it is
// fetched again. If somebody else changed the file, that has been noticed by then, and all of it is being hashed.
func (c *scrub) found(i int, writes uint32, err error) {
	c.file.notice()
	if !c.file.rotten(i, writes) {
		return
	}
	if err == nil {
		err = errors.New("its hash is wrong")
	}
	c.file.metrics.badPiece(fromDisk)
	c.s.client.log.Error("a piece on disk is damaged, it is fetched again; check the disk if this repeats",
		"file", c.file.path, "piece", i, "offset", c.file.offset(i), "bytes", c.file.torrent.PieceSize(i), "error", err)
	if err := c.file.save(); err != nil {
		c.file.onError(err)
	}
}

// moved notes that everything before piece i was read, and writes it down from time to time.
func (c *scrub) moved(i int) {
	c.change(func(state *scrubState) { state.next = i })
	c.anything = true
	if time.Since(c.savedAt) >= c.s.client.config.tuning.scrubSave {
		c.save()
	}
}

// roundEnds notes that all that is present was read. The time of a round is its end: what it found then is older.
func (c *scrub) roundEnds() {
	c.change(func(state *scrubState) {
		state.next, state.since = 0, time.Now()
		if c.anything {
			state.finished = state.since
		}
	})
	if c.anything {
		c.save()
	}
	c.anything = false
}

// change changes the state, which others compare meanwhile.
func (c *scrub) change(f func(*scrubState)) {
	r := c.s.client.scrubber
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&c.state)
}

// save writes down how far it is. That it does not succeed costs reading something once more.
func (c *scrub) save() {
	c.savedAt = time.Now()
	if c.state == c.saved {
		return
	}
	if err := c.state.write(c.path); err != nil {
		c.s.client.log.Debug("the place of the scrubber is not written down", "error", err)
		return
	}
	c.saved = c.state
}
