package swarm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"snapswarm/common/snapshot"
)

// pieceState is what is known of a piece. Only a present one may be read by others.
type pieceState = uint32

const (
	pieceMissing pieceState = iota
	pieceUnknown            // the file holds bytes there that nobody has hashed yet
	pieceHashing            // the same, and somebody is at it
	piecePresent
)

// source is where the bytes of a present piece came from.
type source uint8

const (
	fromNowhere source = iota
	fromPeers
	fromOrigin
	fromDisk // they lay there before
	numSources
)

// stripes is how many locks the pieces of a file share.
const stripes = 64

// pieceFile is the file of a snapshot and what is known of its pieces. It is what the library stores into, what origins'
// pieces are committed to, and what readers ask. No lock is held while the library is called.
type pieceFile struct {
	torrent    *snapshot.Torrent
	path       string
	recordPath string
	badRecord  error // why the record that lay there could not be used, nil if it could
	data       dataFile
	metrics    *metrics
	onError    func(error) // told of each failed write
	onForeign  func()      // told that somebody else changed the file
	onForged   func(i int) // told that a piece of a hybrid has the right SHA-1 and the wrong SHA-256

	// gate is read-locked by writes of data and locked to declare that nobody is writing.
	gate sync.RWMutex
	// stripe i%stripes of piece i is read-locked by writes of chunks and locked to change the piece's state: after a piece became
	// present, no write to it is under way or begins.
	stripe [stripes]sync.RWMutex
	state  []atomic.Uint32 // written under the lock of the stripe
	writes []atomic.Uint32 // how often a chunk of the piece was written
	hashed []atomic.Uint32 // what writes was when the library began to hash the piece
	forged []atomic.Bool   // when it last did, the SHA-256 tree of a hybrid was wrong

	flush flusher
	watch watcher

	mu       sync.Mutex // guards what follows
	origin   []source   // of present pieces
	bytes    [numSources]int64
	present  int
	restored bitfield // pieces that are present on the word of the record alone
	damaged  bitfield // pieces that were present and are not: they are fetched again, whatever else is wanted
	unknown  []int    // pieces to hash
	events   []pieceEvent

	changed chan struct{} // holds a token when events is not empty
	toHash  chan struct{} // holds a token when unknown is not empty
}

// pieceEvent tells the snapshot's loop that a piece's state changed.
type pieceEvent struct {
	piece int
	// resync means that the library does not know yet.
	resync bool
}

func (p *pieceFile) offset(i int) int64 { return int64(i) * p.torrent.PieceLength }

// count adds a piece that became present. The caller holds mu or is the only one.
func (p *pieceFile) count(i int, from source) {
	p.origin[i] = from
	p.bytes[from] += p.torrent.PieceSize(i)
	p.present++
}

// has reports whether the piece may be read.
func (p *pieceFile) has(i int) bool { return p.state[i].Load() == piecePresent }

// missing reports whether the piece has to be fetched.
func (p *pieceFile) missing(i int) bool { return p.state[i].Load() == pieceMissing }

// completed is the number of present pieces and their bytes by source.
func (p *pieceFile) completed() (pieces int, bytes [numSources]int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.present, p.bytes
}

// setState changes a piece under the lock of its stripe, which the caller holds, and tells the loop.
func (p *pieceFile) setState(i int, s pieceState, from source, resync bool) {
	old := p.state[i].Swap(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case s == piecePresent && old != piecePresent:
		p.count(i, from)
		p.metrics.verified(from, p.torrent.PieceSize(i))
		if p.damaged.has(i) {
			p.damaged.clear(i)
			p.metrics.wasMended()
		}
		p.flush.pending.Store(true)
	case s != piecePresent && old == piecePresent:
		p.bytes[p.origin[i]] -= p.torrent.PieceSize(i)
		p.origin[i] = fromNowhere
		p.present--
		p.damaged.set(i)
		p.flush.pending.Store(true)
		p.flush.lost.Store(true)
	}
	if s == pieceUnknown {
		p.unknown = append(p.unknown, i)
		signal(p.toHash)
	}
	p.events = append(p.events, pieceEvent{i, resync})
	signal(p.changed)
}

// takeEvents returns what happened since the last call.
func (p *pieceFile) takeEvents() []pieceEvent {
	p.mu.Lock()
	defer p.mu.Unlock()
	events := p.events
	p.events = nil
	return events
}

// writeChunk writes bytes that nobody has verified. Writing to a present piece does nothing and succeeds.
func (p *pieceFile) writeChunk(i int, b []byte, off int64) (int, error) {
	p.gate.RLock()
	defer p.gate.RUnlock()
	lock := &p.stripe[i%stripes]
	lock.RLock()
	defer lock.RUnlock()
	if p.has(i) {
		return len(b), nil
	}
	n, err := p.write(b, p.offset(i)+off)
	// Counting after the write, under the lock, lets a hasher see every write that its reads may have missed.
	p.writes[i].Add(1)
	return n, err
}

// commit writes a whole piece that the caller has verified.
func (p *pieceFile) commit(i int, b []byte) error {
	p.gate.RLock()
	defer p.gate.RUnlock()
	lock := &p.stripe[i%stripes]
	lock.Lock()
	defer lock.Unlock()
	if p.has(i) {
		return nil
	}
	if _, err := p.write(b, p.offset(i)); err != nil {
		return err
	}
	p.writes[i].Add(1)
	p.setState(i, piecePresent, fromOrigin, true)
	return nil
}

// write is where all data passes. The caller holds gate for reading.
func (p *pieceFile) write(b []byte, off int64) (int, error) {
	err := p.beforeWrite()
	var n int
	if err == nil {
		n, err = p.writeData(b, off)
	}
	if err != nil {
		err = asDiskError(p.path, err)
		p.onError(err)
	}
	return n, err
}

// markPresent is the library's word that the piece's hash is right. If a chunk was written since it read the piece, that word is
// worth nothing, and the piece is hashed again.
func (p *pieceFile) markPresent(i int) {
	lock := &p.stripe[i%stripes]
	lock.Lock()
	defer lock.Unlock()
	switch {
	case p.has(i):
	case p.writes[i].Load() != p.hashed[i].Load():
		p.setState(i, pieceUnknown, fromNowhere, true)
	case p.forged[i].Load():
		p.setState(i, pieceMissing, fromNowhere, true)
		p.metrics.badPiece(fromPeers)
		p.onForged(i)
	default:
		p.setState(i, piecePresent, fromPeers, false)
	}
}

// doubt is the library's word that the piece's hash is wrong or its bytes cannot be read. A present piece, which a commit may have
// mended meanwhile, is hashed again here.
func (p *pieceFile) doubt(i int) {
	lock := &p.stripe[i%stripes]
	lock.Lock()
	defer lock.Unlock()
	if p.has(i) {
		p.setState(i, pieceUnknown, fromNowhere, true)
		return
	}
	p.metrics.badPiece(fromPeers)
}

// remove deletes the file and what lies beside it; the folder too if nothing else is in it.
func (p *pieceFile) remove() error {
	var errs []error
	dir, ih := filepath.Dir(p.path), p.torrent.InfoHash
	for _, path := range []string{p.recordPath, oldPeersPath(dir, ih), scrubPath(dir, ih), p.path} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove snapshot: %w", err))
		}
	}
	// A folder that others use stays; that is no error.
	_ = os.Remove(dir)
	return errors.Join(errs...)
}

// takeUnknown hands out a piece to hash and marks it so.
func (p *pieceFile) takeUnknown() (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.unknown) > 0 {
		i := p.unknown[0]
		p.unknown = p.unknown[1:]
		if p.state[i].CompareAndSwap(pieceUnknown, pieceHashing) {
			return i, true
		}
	}
	return 0, false
}

// signal puts a token into a channel of capacity one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
