package publish_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/bucket/s3test"
	"snapswarm/producer/publish"
)

// leaseFile is the lease of a bench's channel.
func (b *bench) leaseFile() string { return filepath.Join(b.bucket, bucket.LeaseKey(salt)) }

// hold opens a publisher of b and takes the lease.
func (b *bench) hold() (*publish.Publisher, error) {
	b.t.Helper()
	p := b.open()
	err := p.Hold(b.t.Context())
	return p, err
}

func closeAll(t *testing.T, all ...*publish.Publisher) {
	t.Helper()
	for _, p := range all {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

// wantHeld makes sure that err names this process as the holder, and until when it is.
func wantHeld(t *testing.T, err error) {
	t.Helper()
	var held *publish.HeldError
	if !errors.As(err, &held) || !errors.Is(err, publish.ErrHeld) {
		t.Fatalf("%v, want a HeldError", err)
	}
	host, _ := os.Hostname()
	if held.Holder.PID != os.Getpid() || held.Holder.Host != host || held.Holder.Since.IsZero() || !held.Until.After(time.Now()) {
		t.Errorf("held by %+v until %v, want this process and a time to come", held.Holder, held.Until)
	}
	for _, part := range []string{salt, host, held.Holder.Command, held.Until.UTC().Format(time.RFC3339), "stop that one"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
}

func TestTwoMachinesExcludeEachOther(t *testing.T) {
	s3 := s3test.New(t)
	for name, open := range map[string]func(b *bench) bucket.Store{
		"directory": func(b *bench) bucket.Store { return b.store },
		"S3": func(b *bench) bucket.Store {
			store, err := bucket.Open(s3.StoreConfig("two"))
			if err != nil {
				t.Fatal(err)
			}
			return store
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.store = open(b)
			b.cfg.Store, b.cfg.Public = b.store, nil
			first, err := b.hold()
			if err != nil {
				t.Fatal(err)
			}
			rival := b.rival()
			_, err = rival.publish()
			wantHeld(t, err)
			second, err := rival.hold()
			wantHeld(t, err)
			if _, err := second.LeaseHealth(); err == nil {
				t.Error("the second one is healthy")
			}
			if _, err := first.LeaseHealth(); err != nil {
				t.Error(err)
			}
			for info, err := range b.store.List(t.Context(), "") {
				if err != nil || info.Key != bucket.LeaseKey(salt) {
					t.Errorf("the bucket holds %q, %v; want the lease alone", info.Key, err)
				}
			}
			closeAll(t, first)
			if err := second.Hold(t.Context()); err != nil {
				t.Errorf("after the first one's end: %v", err)
			}
			closeAll(t, second)
			if _, err := b.publish(); err != nil {
				t.Errorf("after the second one's end: %v", err)
			}
		})
	}
}

func TestOfTwoFirstTakersOneWins(t *testing.T) {
	b := newBench(t)
	all := make([]*publish.Publisher, 4)
	errs := make([]error, len(all))
	for i := range all {
		all[i] = b.rival().open()
	}
	defer closeAll(t, all...)
	var racing sync.WaitGroup
	for i, p := range all {
		racing.Go(func() { errs[i] = p.Hold(t.Context()) })
	}
	racing.Wait()
	winners := 0
	for _, err := range errs {
		if err == nil {
			winners++
			continue
		}
		wantHeld(t, err)
	}
	if winners != 1 {
		t.Errorf("%d of %d took the lease", winners, len(all))
	}
}

func TestTheLeaseOfADeadProducer(t *testing.T) {
	b := newBench(t)
	dead, err := b.hold()
	if err != nil {
		t.Fatal(err)
	}
	killed, err := os.ReadFile(b.leaseFile())
	if err != nil {
		t.Fatal(err)
	}
	closeAll(t, dead)
	die := func() { // what a kill leaves
		if err := os.WriteFile(b.leaseFile(), killed, 0o644); err != nil {
			t.Fatal(err)
		}
	}

	die()
	rival := b.rival()
	_, err = rival.publish()
	wantHeld(t, err)

	again, err := b.hold()
	if err != nil {
		t.Errorf("from the same DATA_DIR: %v, want the lease at once", err)
	}
	closeAll(t, again)

	die()
	b.age(5*time.Minute + 20*time.Second) // expired, but for the margin
	_, err = rival.publish()
	wantHeld(t, err)
	b.age(5*time.Minute + 40*time.Second)
	rival.mustPublish()
}

// age makes the lease look as if it had been stored that long ago.
func (b *bench) age(d time.Duration) {
	b.t.Helper()
	at := time.Now().Add(-d)
	if err := os.Chtimes(b.leaseFile(), at, at); err != nil {
		b.t.Fatal(err)
	}
}

// TestWrongClocksDoNotMatter: the owner's clock is years off.
func TestWrongClocksDoNotMatter(t *testing.T) {
	for _, off := range []time.Duration{-87600 * time.Hour, 87600 * time.Hour} {
		b := newBench(t)
		now := time.Now().Add(off)
		b.writeLease(map[string]any{
			"format": 1, "owner": "somebody", "session": "x", "pid": 7, "host": "elsewhere", "command": "producer serve",
			"renewed": now, "expires": now.Add(time.Minute),
		})
		if _, err := b.publish(); !errors.Is(err, publish.ErrHeld) || !strings.Contains(err.Error(), "process 7 (producer serve) on elsewhere") {
			t.Errorf("clock off by %v: %v, want ErrHeld", off, err)
		}
		b.age(2 * time.Minute)
		b.mustPublish()
	}
}

func (b *bench) writeLease(fields map[string]any) {
	b.t.Helper()
	text, err := json.Marshal(fields)
	if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Dir(b.leaseFile()), 0o755), os.WriteFile(b.leaseFile(), text, 0o644))
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestStrangeLeases(t *testing.T) {
	b := newBench(t)
	b.writeLease(map[string]any{"format": 2})
	if _, err := b.publish(); err == nil || !strings.Contains(err.Error(), "newer than this program") {
		t.Errorf("a lease of a newer format: %v", err)
	}
	for _, text := range []string{"", "{", `"x"`} {
		if err := os.WriteFile(b.leaseFile(), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		b.mustPublish()
	}
}

// TestACopyOfADataDirIsAnotherProducer: it looks like the first one, started again, so it gets the lease; but the first one
// lives, and does not take it back.
func TestACopyOfADataDirIsAnotherProducer(t *testing.T) {
	b := newBench(t)
	b.cfg.Lease = time.Second
	first, err := b.hold()
	if err != nil {
		t.Fatal(err)
	}
	copied := b.rival()
	copied.cfg.Lease = time.Hour
	if err := os.CopyFS(copied.cfg.DataDir, os.DirFS(b.cfg.DataDir)); err != nil {
		t.Fatal(err)
	}
	second, err := copied.hold()
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(t, first, second)
	eventually(t, "the first one knows", func() bool {
		_, err = first.LeaseHealth()
		return errors.Is(err, publish.ErrHeld)
	})
	wantHeld(t, err)
	if !strings.Contains(err.Error(), "DATA_DIR is a copy of this one") {
		t.Errorf("%v; want that it is a copy", err)
	}
	if _, err := second.LeaseHealth(); err != nil {
		t.Errorf("the second one: %v", err)
	}
}

// eventually waits for something that has to come, or for a minute.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// TestARenewedLeaseLives: with a lease of a second, renewed five times as often, a rival is refused for longer than it lasts.
func TestARenewedLeaseLives(t *testing.T) {
	b := newBench(t)
	b.cfg.Lease = time.Second
	first, err := b.hold()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	eventually(t, "a dozen renewals", func() bool {
		text, err := os.ReadFile(b.leaseFile())
		if err != nil {
			t.Fatal(err)
		}
		seen[string(text)] = true
		return len(seen) > 12
	})
	_, err = b.rival().publish()
	wantHeld(t, err)
	closeAll(t, first)
}

// lossStore lets a rival take the lease during an upload, and then waits for the end of the publication.
type lossStore struct {
	bucket.Store
	rob func()
}

func (s *lossStore) PutFile(ctx context.Context, key, path string, o bucket.PutOptions) error {
	if s.rob == nil {
		return s.Store.PutFile(ctx, key, path, o)
	}
	s.rob()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(time.Minute):
		return errors.New("the publication goes on without the lease")
	}
}

func TestALostLeaseEndsThePublication(t *testing.T) {
	b := newBench(t)
	first := b.mustPublish()
	b.cfg.Lease = 500 * time.Millisecond
	rival := b.rival()
	rival.cfg.Lease = time.Hour
	var thief *publish.Publisher
	robbed := &lossStore{Store: b.store, rob: func() {
		thief = rival.open()
		for thief.Hold(t.Context()) != nil { // a renewal may come between
			b.expire()
		}
	}}
	b.cfg.Store = robbed
	p := b.open()
	src, err := publish.OpenSource(t.Context(), b.source)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Publish(t.Context(), publish.Request{Source: src})
	wantHeld(t, err)
	if _, err := p.LeaseHealth(); !errors.Is(err, publish.ErrHeld) {
		t.Errorf("LeaseHealth = %v, want who has it", err)
	}
	if _, err := p.Renew(t.Context()); !errors.Is(err, publish.ErrHeld) {
		t.Errorf("Renew = %v, want %v", err, publish.ErrHeld)
	}
	if tor := b.check(); tor.InfoHash != first.InfoHash {
		t.Errorf("the pointer names %s, want the %s of before", tor.InfoHash, first.InfoHash)
	}
	closeAll(t, thief)
	eventually(t, "the lease is taken again after the thief has released it", func() bool {
		_, err := p.LeaseHealth()
		return err == nil
	})
	robbed.rob = nil
	if _, err := p.Publish(t.Context(), publish.Request{Source: src}); err != nil {
		t.Error(err)
	}
	closeAll(t, p)
	b.check()
	b.checkTidy(2)
}

func TestABucketThatIsAwayKeepsTheLease(t *testing.T) {
	b := newBench(t)
	broken := &brokenStore{Store: b.store, failAt: 1 << 30, forever: true}
	b.cfg.Store, b.cfg.Lease = broken, time.Hour
	p, err := b.hold()
	if err != nil {
		t.Fatal(err)
	}
	broken.breakNow()
	if _, err := p.LeaseHealth(); err != nil {
		t.Errorf("health while the bucket is away: %v, want none until the lease expires", err)
	}
	if err := p.Hold(t.Context()); err != nil {
		t.Errorf("hold while the bucket is away: %v", err)
	}
	closeAll(t, p) // which cannot release it
	broken.mend()
	_, err = b.rival().publish()
	wantHeld(t, err)
}

// pausedStore lets somebody else act just before a pointer is put, as if this process had stood still.
type pausedStore struct {
	bucket.Store
	meanwhile func()
}

func (s *pausedStore) PutIf(ctx context.Context, key string, body []byte, was string, o bucket.PutOptions) (string, error) {
	if meanwhile := s.meanwhile; meanwhile != nil && key == bucket.PointerKey(salt) {
		s.meanwhile = nil
		meanwhile()
	}
	return s.Store.PutIf(ctx, key, body, was, o)
}

// TestAPausedProducerOverwritesNoPointer: it has looked, signed, and then stands still for longer than its lease.
func TestAPausedProducerOverwritesNoPointer(t *testing.T) {
	for _, began := range []bool{false, true} { // whether the channel had a pointer before
		b := newBench(t)
		if began {
			b.mustPublish()
		}
		rival := b.rival()
		var theirs publish.Report
		b.cfg.Store = &pausedStore{Store: b.store, meanwhile: func() {
			b.expire()
			rival.clock = &clock{now: b.clock.Now().Add(-time.Minute)} // its seq is lower than the one signed here
			rival.cfg.Now = rival.clock.Now
			theirs = rival.mustPublish()
		}}
		announced := len(b.net.announced)
		if _, err := b.publish(); !errors.Is(err, publish.ErrOvertaken) {
			t.Fatalf("publish = %v, want %v", err, publish.ErrOvertaken)
		}
		if tor := b.check(); tor.InfoHash != theirs.InfoHash {
			t.Errorf("the pointer names %s, want the rival's %s", tor.InfoHash, theirs.InfoHash)
		}
		if len(b.net.announced) != announced {
			t.Error("something was announced")
		}
		b.cfg.Store = b.store
		p := b.open()
		rec, err := p.Renew(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		closeAll(t, p)
		if tor := b.check(); tor.InfoHash != theirs.InfoHash || rec.Seq <= theirs.Seq {
			t.Errorf("a renewal names %s with seq %d, want the rival's %s and more than %d", tor.InfoHash, rec.Seq, theirs.InfoHash, theirs.Seq)
		}
		b.clock.add(time.Second)
		mine := b.mustPublish()
		if tor := b.check(); tor.InfoHash != mine.InfoHash || tor.Description.Previous != theirs.InfoHash {
			t.Errorf("the next publication is %s after %s, want it after %s", tor.InfoHash, tor.Description.Previous, theirs.InfoHash)
		}
	}
}

// TestAPausedRenewalOverwritesNoPointer is the same for a renewal.
func TestAPausedRenewalOverwritesNoPointer(t *testing.T) {
	b := newBench(t)
	b.mustPublish()
	rival := b.rival()
	var theirs publish.Report
	b.cfg.Store = &pausedStore{Store: b.store, meanwhile: func() {
		b.expire()
		theirs = rival.mustPublish()
	}}
	p := b.open()
	defer closeAll(t, p)
	if _, err := p.Renew(t.Context()); !errors.Is(err, publish.ErrOvertaken) {
		t.Errorf("renew = %v, want %v", err, publish.ErrOvertaken)
	}
	if tor := b.check(); tor.InfoHash != theirs.InfoHash {
		t.Errorf("the pointer names %s, want the rival's %s", tor.InfoHash, theirs.InfoHash)
	}
}
