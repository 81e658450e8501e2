package crash_test

import (
	"bytes"
	"fmt"
	"sync"

	"snapswarm/common/snapshot"
)

// history is the model: what was seen of a channel so far, by anybody and anywhere. Each method takes one more observation; those
// that return an error have found what must never be, whatever was killed. It may be used by many goroutines at once.
type history struct {
	mu     sync.Mutex
	states map[[32]byte]int // SHA-256 of all that the source ever held, in order from 1; guarded by mu, as is the rest
	newest map[string]int64 // highest sequence number, by the place where it was seen
	moved  map[string]int   // how often that became higher
	values map[int64]string // what was signed under a sequence number
	latest int              // state of the source that the storage's pointer names
	holder map[holding]int  // the life in which a node first said that it has a piece
	shapes map[string]shape // files of a place that never saw a kill
	taken  map[string]int64 // bytes that a node got of pieces
	again  map[string]int64 // of them, those of pieces that it had before it was killed
	twice  map[string]int64 // of them, those of pieces that it had and was not killed since
}

// holding is a piece that a node says that it has.
type holding struct {
	node  string
	of    snapshot.InfoHash
	piece int
}

// archive is what a snapshot really is.
type archive struct {
	version  snapshot.Version
	infoHash snapshot.InfoHash
	raw      [32]byte // SHA-256 of what was packed
	content  []byte
}

// shape counts the files of a place by their names, in which versions and hashes are left out.
type shape map[string]int

func newHistory() *history {
	return &history{
		states: make(map[[32]byte]int), newest: make(map[string]int64), moved: make(map[string]int), values: make(map[int64]string), holder: make(map[holding]int),
		shapes: make(map[string]shape), taken: make(map[string]int64), again: make(map[string]int64), twice: make(map[string]int64),
	}
}

// sourceBecame tells that the source will have this content next.
func (h *history) sourceBecame(raw [32]byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.states[raw] = len(h.states) + 1
}

// pointerSeen is about a record with a good signature: its sequence number never goes back in one place, and stands for one value in
// all places.
func (h *history) pointerSeen(where string, seq int64, value []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if before := h.newest[where]; seq < before {
		return fmt.Errorf("%s: the pointer goes back from seq %d to %d", where, before, seq)
	}
	if seq > h.newest[where] {
		h.newest[where] = seq
		h.moved[where]++
	}
	if value == nil { // the place shows the number alone
		return nil
	}
	if before, ok := h.values[seq]; ok && before != string(value) {
		return fmt.Errorf("%s: seq %d stands for %q, elsewhere for %q", where, seq, value, before)
	}
	h.values[seq] = string(value)
	return nil
}

// movements is how many different pointers were seen in a place, one after the other.
func (h *history) movements(where string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.moved[where]
}

// snapshotSeen is about what the storage's pointer names. incomplete says what of it was missing or wrong while it was named. It is a
// state that the source was in, and never an older one than before.
func (h *history) snapshotSeen(a *archive, incomplete error) error {
	if incomplete != nil {
		return fmt.Errorf("the pointer names a snapshot that is not whole: %w", incomplete)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n, ok := h.states[a.raw]
	switch {
	case !ok:
		return fmt.Errorf("version %s unpacks to %x, which the source never was", a.version, a.raw)
	case n < h.latest:
		return fmt.Errorf("version %s is state %d of the source, after state %d was published", a.version, n, h.latest)
	}
	h.latest = n
	return nil
}

// bytesSeen is about data that somebody sent as what lies at offset of a snapshot.
func (h *history) bytesSeen(who string, a *archive, offset int64, b []byte) error {
	if a.content == nil {
		return fmt.Errorf("%s: data of %s, which is too old to be known", who, a.version)
	}
	if offset < 0 || offset+int64(len(b)) > int64(len(a.content)) {
		return fmt.Errorf("%s: bytes %d to %d of %s, which has %d", who, offset, offset+int64(len(b)), a.version, len(a.content))
	}
	if want := a.content[offset:][:len(b)]; !bytes.Equal(b, want) {
		return fmt.Errorf("%s: wrong bytes of %s between %d and %d", who, a.version, offset, offset+int64(len(b)))
	}
	return nil
}

// transferEnded is about an answer that promised bytes: it may break off, but not look as if it were whole.
func (h *history) transferEnded(who string, a *archive, promised, got int64, broken bool) error {
	if !broken && got != promised {
		return fmt.Errorf("%s: %d of %d bytes of %s, without an error", who, got, promised, a.version)
	}
	return nil
}

// pieceHeld tells that a node says to others that it has a piece, in the life-th run of its process.
func (h *history) pieceHeld(node string, life int, of snapshot.InfoHash, piece int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.holder[holding{node, of, piece}]; !ok {
		h.holder[holding{node, of, piece}] = life
	}
}

// pieceTaken tells that a node got bytes of a piece.
func (h *history) pieceTaken(node string, life int, of snapshot.InfoHash, piece int, n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken[node] += n
	switch since, ok := h.holder[holding{node, of, piece}]; {
	case ok && since < life:
		h.again[node] += n
	case ok:
		h.twice[node] += n
	}
}

// economy fails if a node fetched more than 1 % of its bytes again, that is, of pieces that it had verified and announced before
// it was killed.
func (h *history) economy(node string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.again[node]*100 > h.taken[node] {
		return fmt.Errorf("%s: of %d bytes taken, %d are of pieces that it had before it was killed", node, h.taken[node], h.again[node])
	}
	return nil
}

// undisturbed tells what the files of a place are like at rest before anything was killed. The most of each sort counts.
func (h *history) undisturbed(place string, s shape) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.shapes[place] == nil {
		h.shapes[place] = make(shape)
	}
	for name, n := range s {
		h.shapes[place][name] = max(h.shapes[place][name], n)
	}
}

// filesSeen is about the files of a place: at most extra more of each sort than in the undisturbed one. At rest, extra is 0.
func (h *history) filesSeen(place string, now shape, extra int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, n := range now {
		if most := h.shapes[place][name] + extra; n > most {
			return fmt.Errorf("%s: %d files such as %s, at most %d are expected", place, n, name, most)
		}
	}
	return nil
}
