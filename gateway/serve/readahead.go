package serve

// How far ahead of a reader pieces are asked for: enough to keep several peers busy, little enough that readers do not take
// each other's turn.
const (
	aheadBytes  = 32 << 20
	aheadPieces = 8
)

// readahead asks for the pieces behind the one that is being read, so that they come before those that nobody needs soon.
type readahead struct {
	data        Snapshot
	length      int64 // of a piece
	window      int   // pieces
	first, last int   // what is asked for now
	release     func()
}

func newReadahead(data Snapshot) *readahead {
	length := data.Torrent().PieceLength
	return &readahead{data: data, length: length, window: int(min(max(aheadBytes/length, 1), aheadPieces)), first: -1, release: func() {}}
}

// move asks for what follows the piece of the byte at off, and not beyond that of the last byte before end.
func (a *readahead) move(off, end int64) {
	piece := int(off / a.length)
	if piece == a.first-1 {
		return
	}
	before := a.release
	a.first, a.last = piece+1, min(int((end-1)/a.length), piece+a.window)
	a.release = func() {}
	if a.missing() {
		a.release = a.data.Want(a.first, a.last)
	}
	before() // only now, so that what is in both windows stays wanted
}

// missing reports whether there is anything to ask for; there is not in most downloads.
func (a *readahead) missing() bool {
	for i := a.first; i <= a.last; i++ {
		if !a.data.Have(i) {
			return true
		}
	}
	return false
}

// stop asks for nothing any more.
func (a *readahead) stop() { a.release() }
