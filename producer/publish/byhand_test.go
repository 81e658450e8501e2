package publish_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/producer/publish"
)

// archives counts the snapshots in the bucket.
func (b *bench) archives() int {
	n := 0
	for _, name := range files(b.t, b.bucket) {
		if o, err := bucket.ParseKey(name); err == nil && o.Kind == bucket.KindArchive {
			n++
		}
	}
	return n
}

// TestWhatIsPublishedByHandStays while the watched source is unchanged, also after a restart.
func TestWhatIsPublishedByHandStays(t *testing.T) {
	b := newBench(t)
	looks := &looks{clock: b.clock}
	b.cfg.Now = looks.Now
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, sample(9, 100_000), 0o644); err != nil {
		t.Fatal(err)
	}
	schedule := publish.Schedule{Source: b.source, Poll: 5 * time.Millisecond}
	watch := func(during func(*publish.Publisher)) {
		p := b.open()
		ctx, cancel := context.WithCancel(t.Context())
		var watching sync.WaitGroup
		watching.Go(func() { _ = p.Watch(ctx, schedule) })
		during(p)
		cancel()
		watching.Wait()
		closeAll(t, p)
	}
	watch(func(p *publish.Publisher) {
		eventually(t, "the watched source is published", func() bool { return b.archives() == 1 && healthy(p) })
		b.clock.add(time.Second)
		src, err := publish.OpenSource(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Publish(t.Context(), publish.Request{Source: src}); err != nil {
			t.Fatal(err)
		}
		b.clock.add(time.Second)
		looks.await(t)
	})
	watch(func(*publish.Publisher) { looks.await(t) })
	if tor := b.check(); tor.Name != "other.zst" || b.archives() != 2 {
		t.Fatalf("%d snapshots, the newest is %s; want what was published by hand", b.archives(), tor.Name)
	}
	b.write("data.ldb", sample(5, 10_000))
	watch(func(*publish.Publisher) {
		eventually(t, "the changed source is published", func() bool { return b.archives() == 3 })
		looks.await(t)
	})
	if tor := b.check(); tor.Name != "ledger.tar.zst" {
		t.Errorf("the newest is %s, want the changed source", tor.Name)
	}
}

// looks is a clock that counts: a watcher asks it at each look.
type looks struct {
	*clock
	mu sync.Mutex
	n  int
}

func (l *looks) Now() time.Time {
	l.mu.Lock()
	l.n++
	l.mu.Unlock()
	return l.clock.Now()
}

func (l *looks) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// await waits for some looks more.
func (l *looks) await(t *testing.T) {
	t.Helper()
	begin := l.count()
	eventually(t, "the watcher looks", func() bool { return l.count() > begin+10 })
}

// healthy reports whether the pointer of p is out.
func healthy(p *publish.Publisher) bool {
	_, err := p.Health()
	return err == nil
}
