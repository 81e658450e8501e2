package publish_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"

	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

// network remembers what it was told.
type network struct {
	mu        sync.Mutex
	announced []pointer.Record
	held      []pointer.Record // by nodes of the DHT
	lookups   int
	refreshed int
	seeded    []snapshot.InfoHash
	dropped   []snapshot.Version
	err       error
}

func (n *network) Resolve(context.Context, snapshot.Channel) (pointer.Resolution, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.announced) == 0 {
		return pointer.Resolution{}, pointer.ErrNotFound
	}
	rec := n.announced[len(n.announced)-1]
	p, err := rec.Pointer()
	return pointer.Resolution{Record: rec, Pointer: p, Source: "dht"}, err
}

func (n *network) Lookup(context.Context, snapshot.Channel) ([]pointer.Record, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lookups++
	return slices.Clone(n.held), n.err
}

func (n *network) Announce(_ context.Context, rec pointer.Record) (publish.Announced, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err != nil {
		return publish.Announced{}, n.err
	}
	n.announced = append(n.announced, rec)
	return publish.Announced{Stored: 8, ReadBack: 5}, nil
}

func (n *network) Refresh(context.Context, pointer.Record) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refreshed++
	return nil
}

func (n *network) Seed(_ context.Context, t *snapshot.Torrent) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seeded = append(n.seeded, t.InfoHash)
	return nil
}

func (n *network) Drop(_ context.Context, v snapshot.Version) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dropped = append(n.dropped, v)
	return nil
}

// brokenStore fails its call number failAt, and all after it when forever is set; or the first call of the name failOn.
type brokenStore struct {
	bucket.Store
	forever bool
	before  func() // called once, before the first failure

	mu     sync.Mutex
	failAt int    // guarded by mu
	failOn string // guarded by mu
	// failOnAll is how the names of calls begin that all fail; guarded by mu.
	failOnAll string
	calls     int    // guarded by mu
	failed    string // which call it was; guarded by mu
}

// breakNow makes the next call fail, mend makes none fail any more.
func (s *brokenStore) breakNow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failAt = s.calls + 1
}

func (s *brokenStore) mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failAt, s.failOnAll = 1<<30, ""
}

var errBroken = errors.New("the store is broken")

func (s *brokenStore) call(what string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.calls == s.failAt || (s.forever && s.calls > s.failAt) || what == s.failOn ||
		(s.failOnAll != "" && strings.HasPrefix(what, s.failOnAll)) {
		if s.failed == "" && s.before != nil {
			s.before()
		}
		s.failOn = ""
		s.failed = what
		return &bucket.Error{Op: what, Store: s.String(), Kind: bucket.ErrUnreachable, Err: errBroken}
	}
	return nil
}

func (s *brokenStore) Put(ctx context.Context, key string, r io.ReaderAt, size int64, o bucket.PutOptions) error {
	if err := s.call("put " + key); err != nil {
		return err
	}
	return s.Store.Put(ctx, key, r, size, o)
}

func (s *brokenStore) PutFile(ctx context.Context, key, path string, o bucket.PutOptions) error {
	if err := s.call("put " + key); err != nil {
		return err
	}
	return s.Store.PutFile(ctx, key, path, o)
}

func (s *brokenStore) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	if err := s.call("get " + key); err != nil {
		return nil, err
	}
	return s.Store.Get(ctx, key, limit)
}

func (s *brokenStore) PutIf(ctx context.Context, key string, body []byte, was string, o bucket.PutOptions) (string, error) {
	if err := s.call("put " + key); err != nil {
		return "", err
	}
	return s.Store.PutIf(ctx, key, body, was, o)
}

func (s *brokenStore) Find(ctx context.Context, key string, limit int64) (bucket.Found, error) {
	if err := s.call("get " + key); err != nil {
		return bucket.Found{}, err
	}
	return s.Store.Find(ctx, key, limit)
}

func (s *brokenStore) Sweep(ctx context.Context, prefix string, keep ...string) (bucket.Swept, error) {
	if err := s.call("sweep " + prefix); err != nil {
		return bucket.Swept{}, err
	}
	return s.Store.Sweep(ctx, prefix, keep...)
}

func (s *brokenStore) Check(ctx context.Context) error {
	if err := s.call("check"); err != nil {
		return err
	}
	return s.Store.Check(ctx)
}

func (s *brokenStore) Delete(ctx context.Context, key string) error {
	if err := s.call("delete " + key); err != nil {
		return err
	}
	return s.Store.Delete(ctx, key)
}

func (s *brokenStore) List(ctx context.Context, prefix string) iter.Seq2[bucket.Info, error] {
	if err := s.call("list " + prefix); err != nil {
		return func(yield func(bucket.Info, error) bool) { yield(bucket.Info{}, err) }
	}
	return s.Store.List(ctx, prefix)
}

// watchedStore tells before it puts.
type watchedStore struct {
	bucket.Store
	before func(key string)
}

func (s *watchedStore) Put(ctx context.Context, key string, r io.ReaderAt, size int64, o bucket.PutOptions) error {
	s.before(key)
	return s.Store.Put(ctx, key, r, size, o)
}

func (s *watchedStore) PutFile(ctx context.Context, key, path string, o bucket.PutOptions) error {
	s.before(key)
	return s.Store.PutFile(ctx, key, path, o)
}
