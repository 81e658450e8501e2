package dht

import (
	"bytes"
	"container/list"
	"crypto/sha1"
	"sync"
	"time"

	"github.com/anacrolix/dht/v2/bep44"
	"github.com/anacrolix/dht/v2/krpc"
)

// itemTTL is how long an item is kept after it was last put (BEP 44).
const itemTTL = 2 * time.Hour

// item is a BEP 44 item. An immutable one has nothing but its value.
type item struct {
	value []byte // bencoded
	key   [32]byte
	salt  string
	seq   int64
	sig   [64]byte
}

func (i item) mutable() bool { return i.key != [32]byte{} }

func (i item) target() id {
	if i.mutable() {
		return sha1.Sum(append(i.key[:], i.salt...))
	}
	return sha1.Sum(i.value)
}

// check applies the limits of BEP 44 and verifies the signature. Errors are those of BEP 44.
func (i item) check() error {
	switch {
	case len(i.value) == 0:
		return krpc.Error{Code: krpc.ErrorCodeProtocolError, Msg: "no value"}
	case len(i.value) > 1000:
		return bep44.ErrValueFieldTooBig
	case !i.mutable():
		return nil
	case len(i.salt) > 64:
		return bep44.ErrSaltFieldTooBig
	case !bep44.Verify(i.key[:], []byte(i.salt), i.seq, i.value, i.sig[:]):
		return bep44.ErrInvalidSignature
	}
	return nil
}

// replaces checks the rule for sequence numbers (BEP 44) against what is stored. cas is 0 when
// absent.
func (i item) replaces(old item, cas int64) error {
	switch {
	case !i.mutable():
		return nil
	case cas != 0 && cas != old.seq:
		return bep44.ErrCasHashMismatched
	case i.seq == old.seq && bytes.Equal(i.value, old.value):
		return nil
	case i.seq <= old.seq:
		return bep44.ErrSequenceNumberLessThanCurrent
	}
	return nil
}

// itemStore keeps the items that others put here, for [itemTTL] and at most so many. When it is
// full, the one put least recently goes, which is also the first to expire.
//
// It is not a bep44.Store of the library, because that one does not know when to forget before it
// is asked, nor gives the reason of a refusal.
type itemStore struct {
	max int
	now func() time.Time

	mu    sync.Mutex
	byID  map[id]*list.Element // of *storedItem; guarded by mu
	order *list.List           // least recently put in front; guarded by mu
}

type storedItem struct {
	item
	target id
	put    time.Time
}

func newItemStore(limit int, now func() time.Time) *itemStore {
	return &itemStore{max: limit, now: now, byID: make(map[id]*list.Element), order: list.New()}
}

// put stores i after checking it. Errors are krpc.Error, to be sent to who wanted to put.
func (s *itemStore) put(i item, cas int64) error {
	if err := i.check(); err != nil {
		return err
	}
	target := i.target()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	if e := s.byID[target]; e != nil {
		if err := i.replaces(e.Value.(*storedItem).item, cas); err != nil {
			return err
		}
		s.remove(e)
	}
	for len(s.byID) >= s.max {
		s.remove(s.order.Front())
	}
	s.byID[target] = s.order.PushBack(&storedItem{item: i, target: target, put: s.now()})
	return nil
}

// get returns the item at target, if there is one that has not expired.
func (s *itemStore) get(target id) (item, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	e := s.byID[target]
	if e == nil {
		return item{}, false
	}
	return e.Value.(*storedItem).item, true
}

// len is how many items are kept.
func (s *itemStore) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	return len(s.byID)
}

// expire drops what is too old. Caller holds s.mu.
func (s *itemStore) expire() {
	for e := s.order.Front(); e != nil; e = s.order.Front() {
		if s.now().Sub(e.Value.(*storedItem).put) < itemTTL {
			return
		}
		s.remove(e)
	}
}

// remove forgets e. Caller holds s.mu.
func (s *itemStore) remove(e *list.Element) {
	delete(s.byID, e.Value.(*storedItem).target)
	s.order.Remove(e)
}
