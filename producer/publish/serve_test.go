package publish_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"snapswarm/common/archive"
	"snapswarm/common/bucket"
	"snapswarm/producer/publish"
)

// inBubble runs f in a bubble with its own clock, and the publisher's life beside it: f may sleep for days.
func inBubble(t *testing.T, life func(context.Context, *bench, *publish.Publisher) error, f func(*bench)) {
	t.Helper()
	inBubbleWith(t, func(*bench) {}, life, f)
}

func inBubbleWith(t *testing.T, prepare func(*bench), life func(context.Context, *bench, *publish.Publisher) error, f func(*bench)) {
	t.Helper()
	b := newBench(t)
	prepare(b)
	synctest.Test(t, func(t *testing.T) {
		outer := b.t
		b.t = t
		defer func() { b.t = outer }()
		b.cfg.Public, b.cfg.Now = nil, time.Now // sockets do not belong into a bubble
		p := b.open()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := life(ctx, b, p); !errors.Is(err, context.Canceled) {
				t.Errorf("ended with %v", err)
			}
		})
		f(b)
		cancel()
		wg.Wait()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

// versions counts those in the bucket.
func (b *bench) versions() int {
	b.t.Helper()
	n := 0
	for _, name := range files(b.t, b.bucket) {
		if o, err := bucket.ParseKey(name); err == nil && o.Kind == bucket.KindArchive {
			n++
		}
	}
	return n
}

// pointerMoves is closed when the bucket has another pointer than now, or after a minute.
func (b *bench) pointerMoves() <-chan struct{} {
	b.t.Helper()
	path := filepath.Join(b.bucket, bucket.PointerKey(salt))
	before, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	moved := make(chan struct{})
	go func() {
		defer close(moved)
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if now, err := os.ReadFile(path); err == nil && !bytes.Equal(now, before) {
				return
			}
		}
	}()
	return moved
}

func (b *bench) wantVersions(n int, when string) {
	b.t.Helper()
	synctest.Wait()
	if got := b.versions(); got != n {
		b.t.Errorf("%s: %d versions, want %d", when, got, n)
	}
	b.check()
}

func watch(s publish.Schedule) func(context.Context, *bench, *publish.Publisher) error {
	return func(ctx context.Context, b *bench, p *publish.Publisher) error {
		s.Source, s.Poll = b.source, 10*time.Minute
		return p.Watch(ctx, s)
	}
}

func TestWatchPublishesWhatChanges(t *testing.T) {
	inBubble(t, watch(publish.Schedule{}), func(b *bench) {
		time.Sleep(time.Second)
		b.wantVersions(1, "at start")
		time.Sleep(3 * time.Hour)
		b.wantVersions(1, "three hours without a change")
		b.write("sub/new", []byte("something new"))
		time.Sleep(9 * time.Minute)
		b.write("sub/new", []byte("something newer"))
		time.Sleep(2 * time.Minute)
		b.wantVersions(2, "after a change")
		time.Sleep(3 * time.Hour)
		b.wantVersions(2, "three hours after the change")
	})
}

func TestWatchWaitsUntilTheSourceIsQuiet(t *testing.T) {
	inBubble(t, watch(publish.Schedule{}), func(b *bench) {
		time.Sleep(time.Second)
		for i := range 100 { // written to all the time, for longer than the time between two looks
			b.write("growing", make([]byte, i+1))
			time.Sleep(9 * time.Second)
		}
		b.wantVersions(1, "while the source is written to")
		time.Sleep(10 * time.Minute)
		b.wantVersions(2, "when it is quiet")
	})
}

func TestWatchKeepsToTheSchedule(t *testing.T) {
	inBubble(t, watch(publish.Schedule{Every: 24 * time.Hour}), func(b *bench) {
		time.Sleep(time.Second)
		b.wantVersions(1, "at start")
		b.write("sub/new", []byte("something new"))
		time.Sleep(23 * time.Hour)
		b.wantVersions(1, "before the day is over")
		time.Sleep(time.Hour)
		b.wantVersions(2, "after a day")
		time.Sleep(24 * time.Hour)
		b.wantVersions(2, "after a day without a change")
		b.write("sub/new", []byte("newer"))
		time.Sleep(24 * time.Hour)
		b.wantVersions(3, "after the third day")
	})
}

func TestWatchRunsTheCommandFirst(t *testing.T) {
	s := publish.Schedule{Every: time.Hour, Command: `echo run >> "$SNAPSHOT_SOURCE/runs"`}
	inBubble(t, watch(s), func(b *bench) {
		time.Sleep(time.Second)
		b.wantVersions(1, "at start")
		time.Sleep(2*time.Hour + time.Second)
		b.wantVersions(3, "after two hours")
		if got, _ := os.ReadFile(filepath.Join(b.source, "runs")); strings.Count(string(got), "run\n") != 3 {
			t.Errorf("the command wrote %q, want three lines", got)
		}
	})
}

func TestTheCommandMakesTheSource(t *testing.T) {
	made := filepath.Join(t.TempDir(), "dump")
	var p *publish.Publisher
	life := func(command string) func(context.Context, *bench, *publish.Publisher) error {
		return func(ctx context.Context, _ *bench, publisher *publish.Publisher) error {
			p = publisher
			return p.Watch(ctx, publish.Schedule{Source: made, Poll: 10 * time.Minute, Every: time.Hour, Command: command})
		}
	}
	inBubble(t, life(""), func(b *bench) { // nobody makes it
		time.Sleep(time.Second)
		b.wantVersions(0, "while there is no source")
		if _, err := p.WatchHealth(); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, archive.ErrUnreadable) {
			t.Errorf("while there is no source: %v, want archive.ErrUnreadable and fs.ErrNotExist", err)
		}
	})
	inBubble(t, life("true"), func(b *bench) { // the command has run, and does not make it either
		time.Sleep(time.Second)
		b.wantVersions(0, "while the command makes nothing")
		if _, err := p.WatchHealth(); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, archive.ErrUnreadable) {
			t.Errorf("while the command makes nothing: %v, want archive.ErrUnreadable and fs.ErrNotExist", err)
		}
	})
	inBubble(t, life(`date +%N > "$SNAPSHOT_SOURCE"`), func(b *bench) {
		time.Sleep(time.Second)
		b.wantVersions(1, "after the first run of the command")
		if err := os.Remove(made); err != nil { // somebody clears it away after each publication
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		b.wantVersions(2, "after its second run")
		if _, err := p.WatchHealth(); err != nil {
			t.Errorf("after two publications: %v", err)
		}
	})
}

func TestAFailingCommandLeavesTheOldSnapshot(t *testing.T) {
	s := publish.Schedule{Every: time.Hour, Command: `test ! -e "$SNAPSHOT_SOURCE/../broken"`}
	inBubble(t, watch(s), func(b *bench) {
		time.Sleep(time.Second)
		b.wantVersions(1, "at start")
		flag := filepath.Join(filepath.Dir(b.source), "broken")
		if err := os.WriteFile(flag, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		b.write("sub/new", []byte("something new"))
		time.Sleep(3 * time.Hour)
		b.wantVersions(1, "while the command fails")
		if err := os.Remove(flag); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		b.wantVersions(2, "when it works again")
	})
}

func TestASourceThatBecomesEmptyLeavesTheOldSnapshot(t *testing.T) {
	var p *publish.Publisher
	life := func(ctx context.Context, b *bench, publisher *publish.Publisher) error {
		p = publisher
		return watch(publish.Schedule{Every: time.Hour})(ctx, b, publisher)
	}
	inBubble(t, life, func(b *bench) {
		time.Sleep(time.Second)
		b.wantVersions(1, "at start")
		if err := os.RemoveAll(b.source); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(b.source, 0o755); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		b.wantVersions(1, "while the source is empty")
		if _, err := p.WatchHealth(); !errors.Is(err, publish.ErrEmpty) || !strings.Contains(err.Error(), "since") {
			t.Errorf("while the source is empty: %v", err)
		}
		b.write("data.ldb", []byte("back again"))
		time.Sleep(time.Hour)
		b.wantVersions(2, "when it has data again")
		if _, err := p.WatchHealth(); err != nil {
			t.Errorf("when it has data again: %v", err)
		}
	})
}

func TestWatchGoesOnAfterARestart(t *testing.T) {
	b := newBench(t)
	b.mustPublish()
	for _, row := range []struct {
		name    string
		content string
		want    int
	}{{"unchanged", "", 1}, {"changed", "new", 2}} {
		if row.content != "" {
			b.write("sub/new", []byte(row.content))
		}
		p := b.open()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := errors.New("seen enough")
		var moved <-chan struct{}
		if row.want > 1 {
			moved = b.pointerMoves()
		}
		go func() {
			defer cancel(done)
			if moved == nil {
				time.Sleep(700 * time.Millisecond) // in which it would publish what it must not
				return
			}
			<-moved
		}()
		if err := p.Watch(ctx, publish.Schedule{Source: b.source, Poll: time.Hour}); !errors.Is(err, done) && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", row.name, err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if got := b.versions(); got != row.want {
			t.Errorf("%s: %d versions, want %d", row.name, got, row.want)
		}
	}
}

func keepAlive(ctx context.Context, b *bench, p *publish.Publisher) error {
	src, err := publish.OpenSource(ctx, b.source)
	if err != nil {
		return err
	}
	if _, err := p.Publish(ctx, publish.Request{Source: src}); err != nil {
		return err
	}
	return p.KeepAlive(ctx)
}

func TestThePointerIsKeptAlive(t *testing.T) {
	inBubble(t, keepAlive, func(b *bench) {
		time.Sleep(time.Minute)
		synctest.Wait()
		first, _, _ := b.pointer()
		time.Sleep(5 * 24 * time.Hour)
		synctest.Wait()
		rec, p, _ := b.pointer()
		if age := time.Since(rec.Time()); age > 25*time.Hour || rec.Seq == first.Seq {
			t.Errorf("the pointer is %v old after five days", age)
		}
		if left := time.Until(p.Expires); left < 12*24*time.Hour {
			t.Errorf("the pointer expires in %v", left)
		}
		// The publication, the start, and five renewals.
		if n := len(b.net.announced); n != 7 {
			t.Errorf("announced %d times", n)
		}
		if n := b.net.refreshed; n < 5*22 || n > 5*27 {
			t.Errorf("refreshed %d times in five days, want about hourly", n)
		}
	})
}

func TestRenewalIsTriedAgain(t *testing.T) {
	var broken *brokenStore
	inBubbleWith(t, func(b *bench) {
		broken = &brokenStore{Store: b.cfg.Store, failAt: 1 << 30, forever: true}
		b.cfg.Store = broken
	}, keepAlive, func(b *bench) {
		time.Sleep(time.Hour)
		synctest.Wait()
		first, _, _ := b.pointer()
		broken.breakNow()
		time.Sleep(30 * time.Hour)
		synctest.Wait()
		if rec, _, _ := b.pointer(); rec.Seq != first.Seq {
			t.Error("the pointer moved in a broken bucket")
		}
		broken.mend()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if rec, _, _ := b.pointer(); rec.Seq == first.Seq {
			t.Error("the pointer was not renewed after the bucket came back")
		}
	})
}

func TestWatchBringsOutAPointerThatGotStuck(t *testing.T) {
	var broken *brokenStore
	prepare := func(b *bench) {
		broken = &brokenStore{Store: b.cfg.Store, failOn: "put chain/pointer"}
		b.cfg.Store = broken
	}
	inBubbleWith(t, prepare, watch(publish.Schedule{}), func(b *bench) {
		time.Sleep(time.Second)
		synctest.Wait()
		if _, _, ok := b.pointer(); ok {
			t.Fatal("the bucket has a pointer already")
		}
		time.Sleep(2 * time.Minute)
		b.wantVersions(1, "two minutes later")
		if _, _, ok := b.pointer(); !ok {
			t.Error("the bucket still has no pointer")
		}
	})
}

func TestAPointerThatNeverLeftIsStoredAtStart(t *testing.T) {
	b := newBench(t)
	b.mustPublish()
	b.cfg.Store = &brokenStore{Store: b.store, failOn: "put chain/pointer"}
	if _, err := b.publish(); err == nil {
		t.Fatal("want an error")
	}
	before, _, _ := b.pointer()
	b.cfg.Store = b.store
	p := b.open()
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	moved := b.pointerMoves()
	go func() {
		defer cancel()
		<-moved
	}()
	if err := p.KeepAlive(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	after, _, _ := b.pointer()
	if after.Seq <= before.Seq {
		t.Errorf("the bucket's seq is %d, as before", after.Seq)
	}
	b.check()
}
