package dht

import (
	"bytes"
	"container/list"
	"crypto/ed25519"
	"crypto/sha1"
	"fmt"
	"sync"
	"time"
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

// itemIn is the item that a put carries. Errors are refusals.
func itemIn(a *arguments) (item, error) {
	i := item{value: a.V, salt: a.Salt}
	if a.K == "" {
		return i, nil
	}
	if len(a.K) != len(i.key) || len(a.Sig) != len(i.sig) {
		return i, errSignature
	}
	if a.Seq == nil {
		return i, errNoSeq
	}
	i.key, i.seq, i.sig = [32]byte([]byte(a.K)), *a.Seq, [64]byte([]byte(a.Sig))
	return i, nil
}

// check applies the limits of BEP 44 and verifies the signature. Errors are refusals.
func (i item) check() error {
	switch {
	case len(i.value) == 0:
		return errNoValue
	case len(i.value) > 1000:
		return errValueLength
	case !i.mutable():
		return nil
	case len(i.salt) > 64:
		return errSaltLength
	case !ed25519.Verify(i.key[:], i.signed(), i.sig[:]):
		return errSignature
	}
	return nil
}

// signed is what the signature is over (BEP 44).
func (i item) signed() (b []byte) {
	if i.salt != "" {
		b = fmt.Appendf(b, "4:salt%d:%s", len(i.salt), i.salt)
	}
	return append(fmt.Appendf(b, "3:seqi%de1:v", i.seq), i.value...)
}

// replaces checks the rule for sequence numbers (BEP 44) against what is stored. cas is nil when
// absent. Errors are refusals.
func (i item) replaces(old item, cas *int64) error {
	switch {
	case !i.mutable():
		return nil
	case cas != nil && *cas != old.seq:
		return errCas
	case i.seq == old.seq && bytes.Equal(i.value, old.value):
		return nil
	case i.seq <= old.seq:
		return errOldSeq
	}
	return nil
}

// itemStore keeps the items that others put here, for [itemTTL] and at most so many. When it is
// full, the one put least recently goes, which is also the first to expire.
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

// put stores i after checking it. Errors are refusals.
func (s *itemStore) put(i item, cas *int64) error {
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
