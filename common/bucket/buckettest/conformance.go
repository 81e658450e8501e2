// Package buckettest has the one suite of tests that every bucket.Store has to pass, so that a publisher may rely on the
// contract and not on the store it happens to run with.
//
// It also makes a published snapshot, for tests of those who read from buckets.
package buckettest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/bucket"
)

// Conformance runs the suite. open returns an empty store that is the subtest's own; it may register clean-up.
func Conformance(t *testing.T, open func(t *testing.T) bucket.Store) {
	t.Helper()
	tests := []struct {
		name string
		run  func(*testing.T, bucket.Store)
	}{
		{"what was put can be got", putGet},
		{"large objects arrive whole", putLarge},
		{"a second put replaces the first", putReplaces},
		{"readers see the old or the new object", putIsAtomic},
		{"putting again is harmless", putTwice},
		{"a file put survives its source", putFile},
		{"missing objects are not found", missing},
		{"get keeps its limit", limit},
		{"find describes what it got", find},
		{"a conditional put keeps its condition", putIf},
		{"a conditional put that is repeated succeeds", putIfAgain},
		{"of concurrent conditional puts one wins", putIfRace},
		{"no conditional put is lost", putIfCount},
		{"list has what lies under a prefix", list},
		{"list can be left early", listEarly},
		{"delete removes", remove},
		{"bad keys are refused", badKeys},
		{"a source that ends early changes nothing", shortSource},
		{"a source that fails is the source's fault", failingSource},
		{"a done context ends a put", canceled},
		{"what was interrupted can be put again", putAfterCancel},
		{"a sweep leaves nothing of what was interrupted", sweep},
		{"many may write at once", concurrent},
		{"progress adds up", progress},
		{"check leaves nothing behind", check},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
}

const key = "demo/20261120T060000Z/data.zst"

func putGet(t *testing.T, s bucket.Store) {
	keys := []string{
		"demo/pointer",
		key,
		key + ".torrent",
		"demo/20261120T060000Z/one more+100% ü&=?#;:@.zst",
		"torrents/0123456789abcdef0123456789abcdef01234567.torrent",
		"segments/0123456789abcdef0123456789abcdef01234567/idx/v1.0-000.seg",
	}
	for i, key := range keys {
		want := content(int64(i) * 1000)
		put(t, s, key, want)
		equal(t, s, key, want)
		info, err := s.Stat(t.Context(), key)
		if err != nil || info.Size != int64(len(want)) || info.Key != key || info.ETag == "" || info.Modified.IsZero() {
			t.Errorf("Stat(%q) = %+v, %v; want %d bytes, an ETag and a time", key, info, err, len(want))
		}
	}
}

// largeSize needs three parts in S3, the last of them short.
const largeSize = 33<<20 + 4711

func putLarge(t *testing.T, s bucket.Store) {
	want := content(largeSize)
	put(t, s, key, want)
	equal(t, s, key, want)
}

func putReplaces(t *testing.T, s bucket.Store) {
	put(t, s, key, content(5000))
	put(t, s, key, content(10))
	equal(t, s, key, content(10))
	if got := keys(t, s, ""); !cmp.Equal(got, []string{key}) {
		t.Errorf("List = %q, want %q alone", got, key)
	}
}

func putIsAtomic(t *testing.T, s bucket.Store) {
	one, two := bytes.Repeat([]byte("1"), 100_000), bytes.Repeat([]byte("2"), 60_000)
	put(t, s, key, one)
	var writer sync.WaitGroup
	writer.Go(func() {
		for range 10 {
			put(t, s, key, two)
			put(t, s, key, one)
		}
	})
	defer writer.Wait()
	for range 30 {
		got, err := s.Get(t.Context(), key, 1<<20)
		if err != nil {
			t.Fatalf("Get while it is replaced: %v", err)
		}
		if !bytes.Equal(got, one) && !bytes.Equal(got, two) {
			t.Fatalf("Get while it is replaced: %d bytes, neither the old nor the new object", len(got))
		}
	}
}

func putTwice(t *testing.T, s bucket.Store) {
	path := filepath.Join(t.TempDir(), "archive")
	writeFile(t, path, content(3000))
	for range 2 {
		if err := s.PutFile(t.Context(), key, path, bucket.PutOptions{}); err != nil {
			t.Fatalf("PutFile: %v", err)
		}
		equal(t, s, key, content(3000))
	}
	if got := keys(t, s, ""); !cmp.Equal(got, []string{key}) {
		t.Errorf("List = %q, want %q alone", got, key)
	}
}

func putFile(t *testing.T, s bucket.Store) {
	path := filepath.Join(t.TempDir(), "archive")
	writeFile(t, path, content(3000))
	if err := s.PutFile(t.Context(), key, path, bucket.Defaults(key)); err != nil {
		t.Fatalf("PutFile: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	equal(t, s, key, content(3000))

	err := s.PutFile(t.Context(), key, path, bucket.PutOptions{})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("PutFile of a missing file: %v, want one that says so", err)
	}
	if err := s.PutFile(t.Context(), key, t.TempDir(), bucket.PutOptions{}); err == nil {
		t.Error("PutFile of a directory succeeds")
	}
	equal(t, s, key, content(3000))
}

func missing(t *testing.T, s bucket.Store) {
	put(t, s, key, content(10))
	for _, key := range []string{"demo/pointer", "demo", "demo/20261120T060000Z", key + ".torrent", "other/x/y"} {
		if _, err := s.Get(t.Context(), key, 10); !errors.Is(err, bucket.ErrNotFound) {
			t.Errorf("Get(%q): %v, want ErrNotFound", key, err)
		}
		if _, err := s.Stat(t.Context(), key); !errors.Is(err, bucket.ErrNotFound) {
			t.Errorf("Stat(%q): %v, want ErrNotFound", key, err)
		}
	}
	if err := s.Delete(t.Context(), "demo/pointer"); err != nil {
		t.Errorf("Delete of a missing object: %v, want none", err)
	}
	equal(t, s, key, content(10))
}

func limit(t *testing.T, s bucket.Store) {
	put(t, s, key, content(1000))
	if _, err := s.Get(t.Context(), key, 999); !errors.Is(err, bucket.ErrTooLarge) {
		t.Errorf("Get of 1000 bytes with limit 999: %v, want ErrTooLarge", err)
	}
	if got, err := s.Get(t.Context(), key, 1000); err != nil || len(got) != 1000 {
		t.Errorf("Get of 1000 bytes with limit 1000: %d bytes, %v", len(got), err)
	}
	put(t, s, key, nil)
	if got, err := s.Get(t.Context(), key, 0); err != nil || len(got) != 0 {
		t.Errorf("Get of nothing with limit 0: %d bytes, %v", len(got), err)
	}
}

func list(t *testing.T, s bucket.Store) {
	all := []string{
		"demo-two/pointer", "demo/20261120T060000Z/a", "demo/20261120T060000Z/a.torrent", "demo/20261121T060000Z/a",
		"demo/pointer", "torrents/00.torrent",
	}
	for _, key := range all {
		put(t, s, key, []byte(key))
	}
	for prefix, want := range map[string][]string{
		"":                        all,
		"demo/":                   all[1:5],
		"demo":                    all[0:5],
		"demo/20261120T060000Z/":  all[1:3],
		"demo/2026112":            all[1:4],
		"demo/20261120T060000Z/a": all[1:3],
		"demo/pointer":            all[4:5],
		"demo/pointer/":           nil,
		"nothing/":                nil,
		"no":                      nil,
	} {
		if got := keys(t, s, prefix); !cmp.Equal(got, want) {
			t.Errorf("List(%q): %s", prefix, cmp.Diff(want, got))
		}
	}
	for info, err := range s.List(t.Context(), "") {
		if err != nil || info.Size != int64(len(info.Key)) {
			t.Errorf("List has %+v, %v; want %d bytes", info, err, len(info.Key))
		}
	}
}

func listEarly(t *testing.T, s bucket.Store) {
	for i := range 5 {
		put(t, s, fmt.Sprintf("demo/%d", i), nil)
	}
	seen := 0
	for _, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Errorf("List: %v", err)
		}
		if seen++; seen == 2 {
			break
		}
	}
	if seen != 2 {
		t.Errorf("List went on for %d objects, want 2", seen)
	}
}

func remove(t *testing.T, s bucket.Store) {
	put(t, s, key, content(10))
	put(t, s, "demo/pointer", content(20))
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("Stat after Delete: %v, want ErrNotFound", err)
	}
	equal(t, s, "demo/pointer", content(20))
	put(t, s, key, content(30)) // its folder may be gone by now
	equal(t, s, key, content(30))
}

func badKeys(t *testing.T, s bucket.Store) {
	for _, key := range []string{"", "/etc/passwd", "../x", "demo/../../x", "demo//x", "demo/", ".tmp/x", "a\x00b", `a\..\b`, "a/\xff"} {
		if err := s.Put(t.Context(), key, bytes.NewReader(nil), 0, bucket.PutOptions{}); !errors.Is(err, bucket.ErrBadKey) {
			t.Errorf("Put(%q): %v, want ErrBadKey", key, err)
		}
		if _, err := s.Get(t.Context(), key, 10); !errors.Is(err, bucket.ErrBadKey) {
			t.Errorf("Get(%q): %v, want ErrBadKey", key, err)
		}
		if _, err := s.Stat(t.Context(), key); !errors.Is(err, bucket.ErrBadKey) {
			t.Errorf("Stat(%q): %v, want ErrBadKey", key, err)
		}
		if err := s.Delete(t.Context(), key); !errors.Is(err, bucket.ErrBadKey) {
			t.Errorf("Delete(%q): %v, want ErrBadKey", key, err)
		}
	}
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("List = %q, want nothing", got)
	}
}

func shortSource(t *testing.T, s bucket.Store) {
	put(t, s, key, content(50))
	for _, size := range []int64{1000, largeSize} {
		err := s.Put(t.Context(), key, bytes.NewReader(content(size-1)), size, bucket.PutOptions{})
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Put of %d bytes from a source that has one less: %v, want an unexpected EOF", size, err)
		}
		equal(t, s, key, content(50))
	}
	if got := keys(t, s, ""); !cmp.Equal(got, []string{key}) {
		t.Errorf("List = %q, want %q alone", got, key)
	}
}

// errDisk is a failure of a source.
var errDisk = errors.New("input/output error")

// brokenAfter is a source that fails once it was read up to a place, a number of times that cannot be outlasted.
type brokenAfter int64

func (b brokenAfter) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > int64(b) {
		return 0, errDisk
	}
	return len(p), nil
}

func failingSource(t *testing.T, s bucket.Store) {
	for _, size := range []int64{1000, largeSize} {
		err := s.Put(t.Context(), key, brokenAfter(size/2), size, bucket.PutOptions{})
		if !errors.Is(err, errDisk) || errors.Is(err, bucket.ErrUnreachable) || errors.Is(err, bucket.ErrDenied) {
			t.Errorf("Put of %d bytes from a broken source: %v, want its error and no blame on the store", size, err)
		}
		if _, err := s.Stat(t.Context(), key); !errors.Is(err, bucket.ErrNotFound) {
			t.Errorf("Stat after it: %v, want ErrNotFound", err)
		}
	}
}

func canceled(t *testing.T, s bucket.Store) {
	reason := errors.New("the operator pressed Ctrl-C")
	ctx, cancel := context.WithCancelCause(t.Context())
	o := bucket.PutOptions{Progress: func(sent int64) {
		if sent > largeSize/4 {
			cancel(reason)
		}
	}}
	err := s.Put(ctx, key, bytes.NewReader(content(largeSize)), largeSize, o)
	if !errors.Is(err, reason) && !errors.Is(err, context.Canceled) {
		t.Errorf("Put with a context that ends: %v, want its cause", err)
	}
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("Stat after it: %v, want ErrNotFound", err)
	}
	put(t, s, key, content(100)) // the store is not worse for it
	equal(t, s, key, content(100))
}

// interrupt leaves a Put of key that did not get to its end.
func interrupt(t *testing.T, s bucket.Store, key string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	o := bucket.Defaults(key)
	o.Progress = func(sent int64) {
		if sent > largeSize/2 {
			cancel()
		}
	}
	if err := s.Put(ctx, key, bytes.NewReader(content(largeSize)), largeSize, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("Put with a context that ends: %v, want %v", err, context.Canceled)
	}
}

func putAfterCancel(t *testing.T, s bucket.Store) {
	interrupt(t, s, key)
	put(t, s, key, content(largeSize))
	equal(t, s, key, content(largeSize))
	interrupt(t, s, key+"2")
	other := content(largeSize + 1)[:largeSize] // of the same size
	put(t, s, key+"2", other)
	equal(t, s, key+"2", other)
	if got, err := s.Sweep(t.Context(), "demo/"); err != nil || got != (bucket.Swept{}) {
		t.Errorf("Sweep = %+v, %v; want nothing left", got, err)
	}
}

// sweptClean sweeps until nothing is left: a server may still write what it got of a request that was given up.
func sweptClean(t *testing.T, s bucket.Store, prefix string) {
	t.Helper()
	const patience = 10 * time.Second
	var got bucket.Swept
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var err error
		if got, err = s.Sweep(t.Context(), prefix); err != nil {
			t.Errorf("Sweep: %v", err)
			return
		}
		if got == (bucket.Swept{}) {
			return
		}
	}
	t.Errorf("Sweep still finds %+v after %s, want nothing left", got, patience)
}

func sweep(t *testing.T, s bucket.Store) {
	if got, err := s.Sweep(t.Context(), "demo/"); err != nil || got != (bucket.Swept{}) {
		t.Errorf("Sweep of an empty store = %+v, %v; want nothing", got, err)
	}
	put(t, s, key, content(100))
	for _, key := range []string{key, "demo/20261121T060000Z/data.zst"} {
		interrupt(t, s, key)
	}
	if _, err := s.Sweep(t.Context(), "demo-two/"); err != nil {
		t.Errorf("Sweep of another prefix: %v", err)
	}
	if _, err := s.Sweep(t.Context(), "demo/", key); err != nil {
		t.Errorf("Sweep: %v", err)
	}
	if _, err := s.Sweep(t.Context(), key); err != nil {
		t.Errorf("Sweep of a whole key: %v", err)
	}
	sweptClean(t, s, "")
	equal(t, s, key, content(100))
	put(t, s, key, content(largeSize))
	equal(t, s, key, content(largeSize))
}

func concurrent(t *testing.T, s bucket.Store) {
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			key, want := fmt.Sprintf("demo/%d/file", i%4), content(int64(i)*10_000)
			put(t, s, key, want)
			if _, err := s.Get(t.Context(), key, 1<<20); err != nil && !errors.Is(err, bucket.ErrNotFound) {
				t.Errorf("Get(%q): %v", key, err)
			}
			if i%3 == 0 {
				if err := s.Delete(t.Context(), key); err != nil {
					t.Errorf("Delete(%q): %v", key, err)
				}
			}
		})
	}
	all.Wait()
}

func progress(t *testing.T, s bucket.Store) {
	var (
		busy sync.Mutex
		last int64
	)
	o := bucket.PutOptions{Progress: func(sent int64) {
		if !busy.TryLock() {
			t.Error("two calls of Progress at once")
			return
		}
		defer busy.Unlock()
		if sent < 0 || sent > largeSize {
			t.Errorf("Progress(%d), want at most %d", sent, int64(largeSize))
		}
		last = sent
	}}
	if err := s.Put(t.Context(), key, bytes.NewReader(content(largeSize)), largeSize, o); err != nil {
		t.Fatalf("Put: %v", err)
	}
	if last != largeSize {
		t.Errorf("the last Progress was %d, want %d", last, int64(largeSize))
	}
}

func check(t *testing.T, s bucket.Store) {
	if err := s.Check(t.Context()); err != nil {
		t.Fatalf("Check: %v", err)
	}
	if got := keys(t, s, ""); len(got) != 0 {
		t.Errorf("List after Check = %q, want nothing", got)
	}
	if s.String() == "" {
		t.Error("String is empty")
	}
}

func put(t *testing.T, s bucket.Store, key string, body []byte) {
	t.Helper()
	if err := s.Put(t.Context(), key, bytes.NewReader(body), int64(len(body)), bucket.Defaults(key)); err != nil {
		t.Errorf("Put(%q): %v", key, err)
	}
}

func equal(t *testing.T, s bucket.Store, key string, want []byte) {
	t.Helper()
	got, err := s.Get(t.Context(), key, int64(len(want)))
	if err != nil {
		t.Errorf("Get(%q): %v", key, err)
		return
	}
	if sha256.Sum256(got) != sha256.Sum256(want) {
		t.Errorf("Get(%q): %d bytes that are not the %d put", key, len(got), len(want))
	}
}

func keys(t *testing.T, s bucket.Store, prefix string) []string {
	t.Helper()
	var got []string
	for info, err := range s.List(t.Context(), prefix) {
		if err != nil {
			t.Errorf("List(%q): %v", prefix, err)
			break
		}
		got = append(got, info.Key)
	}
	slices.Sort(got)
	return got
}

// content is the same for the same size, and no part of it looks like another.
func content(size int64) []byte {
	body := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16)}).Read(body) // never fails
	return body
}

func writeFile(t *testing.T, path string, body []byte) {
	t.Helper()
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
}
