package bucket_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"snapswarm/common/bucket"
)

// leaseKey is a small object that two may want to write.
const leaseKey = "demo/lease"

// lines is a log to look at.
type lines struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *lines) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.String(), part)
}

// conditional is a fake server, a store on it, and that store's log.
func conditional(t *testing.T, conditions bool, fault func(kind string, nth int) *answer) (*fakeS3, bucket.Store, *lines) {
	t.Helper()
	f := &fakeS3{fault: fault, conditions: conditions, count: map[string]int{}}
	server, _ := countingServer(t, f.ServeHTTP)
	log := &lines{}
	s, err := bucket.Open(bucket.Config{
		URL: "s3://chain", Endpoint: server.URL, AccessKeyID: "key", SecretAccessKey: "hunter2",
		RetryFor: time.Second, StallAfter: 10 * time.Second, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f, s, log
}

func putIf(t *testing.T, s bucket.Store, body, was string) (string, error) {
	t.Helper()
	return s.PutIf(t.Context(), leaseKey, []byte(body), was, bucket.Defaults(leaseKey))
}

const warning = "has no conditional requests"

func TestAServerThatKeepsConditionsIsAskedOnce(t *testing.T) {
	f, s, log := conditional(t, true, nil)
	etag, err := putIf(t, s, "one", "")
	if err != nil || f.count["put"] != 2 {
		t.Fatalf("first put: %v after %d requests, want 2: the put and the proof", err, f.count["put"])
	}
	if _, err := putIf(t, s, "two", etag); err != nil || f.count["put"] != 3 {
		t.Errorf("second put: %v, %d requests in all, want 3", err, f.count["put"])
	}
	if log.count(warning) != 0 {
		t.Errorf("it warns: %s", log)
	}
}

func TestAServerWithoutConditionsIsNoticed(t *testing.T) {
	for name, fault := range map[string]func(string, int) *answer{
		"ignores them": nil,
		"refuses them": refuseConditions,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, s, log := conditional(t, false, fault)
			etag, err := putIf(t, s, "one", "")
			if err != nil {
				t.Fatal(err)
			}
			if etag, err = putIf(t, s, "two", etag); err != nil || string(f.object) != "two" {
				t.Errorf("put over what was seen: %v, stored %q", err, f.object)
			}
			if _, err := putIf(t, s, "three", ""); !errors.Is(err, bucket.ErrPrecondition) {
				t.Errorf("put where something lies: %v, want ErrPrecondition", err)
			}
			if _, err := putIf(t, s, "three", strings.Repeat("0", len(etag))); !errors.Is(err, bucket.ErrPrecondition) {
				t.Errorf("put over something else: %v, want ErrPrecondition", err)
			}
			if string(f.object) != "two" {
				t.Errorf("stored %q, want what was there", f.object)
			}
			if n := log.count(warning); n != 1 {
				t.Errorf("%d warnings, want one: %s", n, log)
			}
		})
	}
}

// refuseConditions is a server that does not implement them: the first request carries one, those after the warning do not.
func refuseConditions(kind string, nth int) *answer {
	if kind == "put" && nth == 1 {
		return &answer{status: 501, code: "NotImplemented"}
	}
	return nil
}

// TestWithoutConditionsTheLaterWriterWins: both have looked before either wrote.
func TestWithoutConditionsTheLaterWriterWins(t *testing.T) {
	f, s, _ := conditional(t, false, nil)
	if _, err := putIf(t, s, "known", ""); err != nil {
		t.Fatal(err)
	}
	f.fault = func(kind string, nth int) *answer {
		if kind == "get" && nth > 1 { // it looks again: the other one has written meanwhile
			f.mu.Lock()
			f.object = []byte("theirs")
			f.mu.Unlock()
		}
		return nil
	}
	was, err := s.Stat(t.Context(), leaseKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := putIf(t, s, "ours", was.ETag); !errors.Is(err, bucket.ErrPrecondition) {
		t.Errorf("put that was overwritten at once: %v, want ErrPrecondition", err)
	}
}

func TestALostAnswerToAConditionalPutIsFoundOut(t *testing.T) {
	for name, was := range map[string]string{"of a new object": "", "of a replacement": "etag"} {
		t.Run(name, func(t *testing.T) {
			lost := 0
			f, s, _ := conditional(t, true, nil)
			if was != "" {
				etag, err := putIf(t, s, "before", "")
				if err != nil {
					t.Fatal(err)
				}
				was, lost = etag, f.count["put"]
			}
			f.fault = func(kind string, nth int) *answer {
				if kind == "put" && nth == lost+1 {
					return &answer{cut: true, after: true}
				}
				return nil
			}
			if etag, err := putIf(t, s, "ours", was); err != nil || etag != f.etag || string(f.object) != "ours" {
				t.Errorf("put whose answer got lost = %q, %v; stored %q with %q", etag, err, f.object, f.etag)
			}
			if f.count["put"] < lost+2 {
				t.Errorf("%d requests: the put was not repeated, so this shows nothing", f.count["put"])
			}
		})
	}
}

func TestAConflictIsAFailedCondition(t *testing.T) {
	_, s, _ := conditional(t, true, func(kind string, _ int) *answer {
		if kind == "put" {
			return &answer{status: 409, code: "ConditionalRequestConflict"}
		}
		return nil
	})
	if _, err := putIf(t, s, "ours", ""); !errors.Is(err, bucket.ErrPrecondition) {
		t.Errorf("PutIf: %v, want ErrPrecondition", err)
	}
}

// TestTheLockOfADirectoryStays: an old file, but not the rest of a crash.
func TestTheLockOfADirectoryStays(t *testing.T) {
	dir := t.TempDir()
	cfg := bucket.Config{URL: "file://" + dir}
	if _, err := putIf(t, open(t, cfg), "one", ""); err != nil {
		t.Fatal(err)
	}
	path, old := filepath.Join(dir, ".tmp", "lock"), time.Now().Add(-48*time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	open(t, cfg)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
