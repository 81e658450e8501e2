package buckettest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"snapswarm/common/bucket"
)

const leaseKey = "demo/lease"

func find(t *testing.T, s bucket.Store) {
	put(t, s, key, content(1000))
	found, err := s.Find(t.Context(), key, 1000)
	if err != nil {
		t.Fatalf("Find: %v", err)
	}
	info, err := s.Stat(t.Context(), key)
	if err != nil || found.ETag != info.ETag || found.Size != 1000 || len(found.Body) != 1000 || found.Key != key {
		t.Errorf("Find = %+v, %d bytes; Stat = %+v, %v", found.Info, len(found.Body), info, err)
	}
	if age := found.Asked.Sub(found.Modified); found.Modified.IsZero() || age < -2*time.Second || age > time.Minute {
		t.Errorf("Find asked at %v about an object of %v, want both by one clock", found.Asked, found.Modified)
	}
	if _, err := s.Find(t.Context(), key, 999); !errors.Is(err, bucket.ErrTooLarge) {
		t.Errorf("Find of 1000 bytes with limit 999: %v, want ErrTooLarge", err)
	}
	if _, err := s.Find(t.Context(), leaseKey, 999); !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("Find of a missing object: %v, want ErrNotFound", err)
	}
}

// putIfs is a PutIf that must succeed, or must not.
func putIfs(t *testing.T, s bucket.Store, body, was string, ok bool) (etag string) {
	t.Helper()
	etag, err := s.PutIf(t.Context(), leaseKey, []byte(body), was, bucket.Defaults(leaseKey))
	switch {
	case ok && (err != nil || etag == ""):
		t.Errorf("PutIf(%q, was %q) = %q, %v; want an ETag", body, was, etag, err)
	case !ok && !errors.Is(err, bucket.ErrPrecondition):
		t.Errorf("PutIf(%q, was %q) = %q, %v; want ErrPrecondition", body, was, etag, err)
	}
	return etag
}

func putIf(t *testing.T, s bucket.Store) {
	putIfs(t, s, "zero", "0123456789abcdef0123456789abcdef", false)
	if got := keys(t, s, ""); len(got) != 0 {
		t.Fatalf("a refused put left %q", got)
	}
	one := putIfs(t, s, "one", "", true)
	putIfs(t, s, "two", "", false)
	equal(t, s, leaseKey, []byte("one"))
	if found, err := s.Find(t.Context(), leaseKey, 10); err != nil || found.ETag != one {
		t.Errorf("Find = %+v, %v; want ETag %q as PutIf told it", found.Info, err, one)
	}
	two := putIfs(t, s, "two", one, true) // of the same size, at once
	if two == one {
		t.Errorf("two contents have one ETag, %q", two)
	}
	putIfs(t, s, "six", one, false)
	equal(t, s, leaseKey, []byte("two"))
	if err := s.Delete(t.Context(), leaseKey); err != nil {
		t.Fatal(err)
	}
	putIfs(t, s, "six", two, false)
	putIfs(t, s, "seven", "", true)
	equal(t, s, leaseKey, []byte("seven"))
}

func putIfAgain(t *testing.T, s bucket.Store) {
	one := putIfs(t, s, "one", "", true)
	if again := putIfs(t, s, "one", "", true); again != one {
		t.Errorf("the same put again gives ETag %q, want %q", again, one)
	}
	two := putIfs(t, s, "two", one, true)
	if again := putIfs(t, s, "two", one, true); again != two {
		t.Errorf("the same replacement again gives ETag %q, want %q", again, two)
	}
}

// putIfRace lets several writers take a free key, and then replace what they all have seen.
func putIfRace(t *testing.T, s bucket.Store) {
	was := ""
	for round := range 4 {
		var winners atomic.Int32
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				_, err := s.PutIf(t.Context(), leaseKey, fmt.Appendf(nil, "round %d by %d", round, i), was, bucket.Defaults(leaseKey))
				switch {
				case err == nil:
					winners.Add(1)
				case !errors.Is(err, bucket.ErrPrecondition):
					t.Errorf("PutIf: %v, want none or ErrPrecondition", err)
				}
			})
		}
		all.Wait()
		if n := winners.Load(); n != 1 {
			t.Errorf("round %d: %d of 6 writers won, want 1", round, n)
		}
		found, err := s.Find(t.Context(), leaseKey, 100)
		if err != nil {
			t.Fatal(err)
		}
		was = found.ETag
	}
}

// putIfCount counts up from several writers at once, each of which takes what it has read as its condition. All bodies have
// the same length, and their last digit says who wrote them.
func putIfCount(t *testing.T, s bucket.Store) {
	const writers, each = 4, 5
	putIfs(t, s, "10009", "", true)
	var all sync.WaitGroup
	for writer := range writers {
		all.Go(func() {
			for done := 0; done < each; {
				err := countUp(t.Context(), s, writer)
				if err == nil {
					done++
				} else if !errors.Is(err, bucket.ErrPrecondition) {
					t.Errorf("count up: %v", err)
					return
				}
			}
		})
	}
	all.Wait()
	if found, err := s.Find(t.Context(), leaseKey, 5); err != nil || string(found.Body[:4]) != strconv.Itoa(1000+writers*each) {
		t.Errorf("%d writers counted up %d times from 1000 and came to %q, %v", writers, each, found.Body, err)
	}
}

func countUp(ctx context.Context, s bucket.Store, writer int) error {
	found, err := s.Find(ctx, leaseKey, 5)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(string(found.Body))
	if err != nil {
		return err
	}
	_, err = s.PutIf(ctx, leaseKey, fmt.Appendf(nil, "%d%d", n/10+1, writer), found.ETag, bucket.Defaults(leaseKey))
	return err
}
