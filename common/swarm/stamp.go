package swarm

import (
	"io/fs"
	"sync"
)

// stamp tells one content of a data file from another without reading it.
type stamp struct {
	size     int64
	inode    uint64
	modified int64 // Unix nanoseconds
}

func stampOf(info fs.FileInfo) stamp {
	return stamp{info.Size(), inode(info), info.ModTime().UnixNano()}
}

// watcher notices that somebody else changed the data file: it is not as our own last write left it.
type watcher struct {
	handling sync.Mutex // held from the moment a change is found until no piece relies on the bytes before it

	mu      sync.Mutex // held during each write of data; guards what follows
	ours    stamp
	foreign bool // somebody else wrote since, and that has not been handled
	// changes is how often a change by somebody else was handled, twice: it is odd while that is going on. What was true of the
	// pieces before is worth nothing if it has moved.
	changes uint64
}

// expect takes the file as it is for our own.
func (w *watcher) expect(f dataFile) {
	if info, err := f.Stat(); err == nil { // else the next look finds a change, and hashing tells what is left
		w.ours = stampOf(info)
	}
}

// look compares. The caller holds mu.
func (w *watcher) look(f dataFile) {
	if info, err := f.Stat(); err != nil || stampOf(info) != w.ours {
		w.foreign = true
	}
}

// writeData writes, and keeps what others write apart from it.
func (p *pieceFile) writeData(b []byte, off int64) (int, error) {
	w := &p.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look(p.data)
	n, err := p.data.WriteAt(b, off)
	w.expect(p.data)
	return n, err
}

// intact is what a record may say of the file: how our last write left it, and whether nobody else has written since changes
// was [watcher.settled].
func (p *pieceFile) intact(changes uint64) (stamp, bool) {
	w := &p.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look(p.data)
	return w.ours, !w.foreign && w.changes == changes && changes%2 == 0
}

// settled is how many changes there were so far.
func (w *watcher) settled() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes
}

// notice costs a system call if nobody else has changed the file. Otherwise every present piece is hashed again, and when notice
// returns, to whomever, none counts as present on the word of the bytes before. Writers must not call it.
func (p *pieceFile) notice() {
	w := &p.watch
	w.handling.Lock()
	defer w.handling.Unlock()
	if !p.takeForeign() {
		return
	}
	for i := range p.state {
		p.suspect(i)
	}
	w.mu.Lock()
	w.changes++
	w.mu.Unlock()
	p.onForeign()
}

// takeForeign reports whether somebody else changed the file and takes it as it is now, but for its size.
func (p *pieceFile) takeForeign() bool {
	w := &p.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.look(p.data)
	if !w.foreign {
		return false
	}
	w.foreign = false
	w.changes++
	if p.resized() {
		_ = p.data.Truncate(p.torrent.Length) // if it fails, so do the writes of what is missing
	}
	w.expect(p.data)
	return true
}

func (p *pieceFile) resized() bool {
	info, err := p.data.Stat()
	return err != nil || info.Size() != p.torrent.Length
}

// suspect lets piece i be hashed again if it was present, and makes whoever is hashing it begin again.
func (p *pieceFile) suspect(i int) {
	lock := &p.stripe[i%stripes]
	lock.Lock()
	defer lock.Unlock()
	p.writes[i].Add(1)
	if p.has(i) {
		p.setState(i, pieceUnknown, fromNowhere, true)
	}
}
