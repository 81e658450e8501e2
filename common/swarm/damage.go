package swarm

// What was present and is not any more: pieces that rotted on disk, that somebody else overwrote, or that an fsync lost. Whoever
// had them wants them back, so they are fetched again even where nothing else is.

// damagedBits are the pieces that a restart has to fetch again, too.
func (p *pieceFile) damagedBits() bitfield {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(bitfield(nil), p.damaged...)
}

// isDamaged reports whether piece i has to be fetched again.
func (p *pieceFile) isDamaged(i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.damaged.has(i) && p.missing(i)
}

// doubts are the pieces that were present and are not, and those in which there are bytes that nobody has hashed yet.
func (p *pieceFile) doubts() (damaged, unhashed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.present == len(p.state) {
		return 0, 0
	}
	for i := range p.state {
		switch s := p.state[i].Load(); {
		case s == pieceUnknown, s == pieceHashing:
			unhashed++
		case s == pieceMissing && p.damaged.has(i):
			damaged++
		}
	}
	return damaged, unhashed
}

// rotten gives up piece i, whose bytes were found to be wrong or unreadable, unless it was lost or written since writes was read.
func (p *pieceFile) rotten(i int, writes uint32) bool {
	lock := &p.stripe[i%stripes]
	lock.Lock()
	defer lock.Unlock()
	if !p.has(i) || p.writes[i].Load() != writes {
		return false
	}
	p.setState(i, pieceMissing, fromNowhere, true)
	return true
}

// mend asks for the pieces that are damaged.
func (l *loop) mend() {
	for i := range l.s.file.state {
		l.mendPiece(i)
	}
}

// mendPiece asks for piece i if it is damaged, and does not any more if it is not.
func (l *loop) mendPiece(i int) {
	_, asked := l.mending[i]
	switch damaged := l.s.file.isDamaged(i); {
	case damaged && !asked:
		l.mending[i] = struct{}{}
		l.asked[i]++
		l.prioritise(i)
	case !damaged && asked:
		delete(l.mending, i)
		l.unask(i)
	}
}
