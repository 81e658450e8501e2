package catalog_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"snapswarm/common/snapshot"
	"snapswarm/gateway/catalog"
)

// bubble runs a test in fake time, which begins at midnight on 2000-01-01. What the test blocks on must be made inside.
func bubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, test)
}

// run follows with p until the test ends.
func run(t *testing.T, p *fakePeer) *catalog.Catalog {
	t.Helper()
	return begin(t, p, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})))
}

// begin is run with a log of the test's own.
func begin(t *testing.T, p *fakePeer, log *slog.Logger) *catalog.Catalog {
	t.Helper()
	c := catalog.New(p, catalog.Config{Channels: []snapshot.Channel{channel(t)}, PollInterval: 10 * time.Minute, Log: log})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil after its context ended", err)
		}
	})
	return c
}

func latest(c *catalog.Catalog) snapshot.Version {
	v, _ := c.Latest(salt)
	return v
}

func day(n int) time.Time { return time.Date(2000, 1, n, 0, 0, 0, 0, time.UTC) }

func TestNothingIsKnownAtFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := run(t, &fakePeer{})
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, ok := c.Newest(salt); ok || latest(c) != "" || len(c.Versions(salt)) != 0 {
			t.Errorf("latest = %q, versions = %v, want nothing", latest(c), c.Versions(salt))
		}
		if _, err := c.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "no signed pointer") {
			t.Errorf("Ready = %v, want that no pointer was found", err)
		}
		if _, ok := c.Open("other", "20000101T000000Z"); ok {
			t.Error("a channel that is not configured was opened")
		}
	})
}

func TestRestartServesWhatIsOnDiskBeforeAnybodyAnswers(t *testing.T) {
	t.Parallel()
	old, newest := holding(t, "19991230T000000Z", 4, time.Hour), holding(t, "19991231T000000Z", 1, time.Hour)
	p := &fakePeer{newest: record(t, newest, day(1).Add(-time.Hour), day(14)), holdings: []catalog.Holding{newest, old}}
	c := newCatalog(t, p) // not running
	if rec, ok := c.Newest(salt); !ok || rec.Seq != p.newest.Seq {
		t.Errorf("Newest = %v, %t, want the ratchet's", rec.Seq, ok)
	}
	if latest(c) != newest.Version || !slices.Equal(c.Versions(salt), []snapshot.Version{newest.Version, old.Version}) {
		t.Errorf("latest = %s of %v, want %s", latest(c), c.Versions(salt), newest.Version)
	}
	if data, ok := c.Open(salt, old.Version); !ok || data.Torrent() != old.Torrent {
		t.Error("the old version cannot be opened")
	}
	if detail, err := c.Ready(t.Context()); err != nil || !strings.Contains(detail, "25 % here") {
		t.Errorf("Ready = %q, %v, want ready with a quarter", detail, err)
	}
}

func TestRestartWithoutTheNewestOnDisk(t *testing.T) {
	t.Parallel()
	a, b := holding(t, "19991230T000000Z", 4, time.Hour), holding(t, "19991231T000000Z", 4, time.Hour)
	gone := holding(t, "20000101T000000Z", 0, time.Hour)
	c := newCatalog(t, &fakePeer{newest: record(t, gone, day(1), day(14)), holdings: []catalog.Holding{b, a}})
	if latest(c) != b.Version {
		t.Errorf("latest = %s, want the newest on disk, %s", latest(c), b.Version)
	}
}

// However long it takes to find a torrent or to look after the DHT: what is published is known a poll interval later.
func TestPollsKeepTheirInterval(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := holding(t, "19991231T000000Z", 4, 48*time.Hour)
		rec := record(t, h, day(1).Add(-time.Hour), day(14))
		p := &fakePeer{newest: rec, found: rec, holdings: []catalog.Holding{h}, slow: 20 * time.Second}
		run(t, p)
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		p.with(func(p *fakePeer) {
			if len(p.reputs) < 5 {
				t.Errorf("%d re-puts in 10 h, want some", len(p.reputs))
			}
			for i := 1; i < len(p.polled); i++ {
				if gap := p.polled[i].Sub(p.polled[i-1]); gap < 8*time.Minute || gap > 10*time.Minute {
					t.Errorf("polled after %s, want 8 to 10 min", gap)
				}
			}
		})
	})
}

func TestNewSnapshotIsServedBeforeItsDataIsHere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old, next := holding(t, "19991231T000000Z", 4, 48*time.Hour), holding(t, "20000101T001500Z", 0, 48*time.Hour)
		first := record(t, old, day(1).Add(-time.Hour), day(14))
		p := &fakePeer{newest: first, found: first, holdings: []catalog.Holding{old}}
		c := run(t, p)
		time.Sleep(15 * time.Minute)
		if !dataOf(old).isStarted() {
			t.Error("the version on disk was not started, so it would never become complete again")
		}
		p.publish(record(t, next, time.Now(), day(15)), next)
		time.Sleep(13 * time.Minute) // a poll interval and its jitter
		synctest.Wait()
		if latest(c) != next.Version || !dataOf(next).isStarted() {
			t.Errorf("latest = %s, started: %t, want %s, started", latest(c), dataOf(next).isStarted(), next.Version)
		}
		if _, ok := c.Open(salt, old.Version); !ok {
			t.Error("the old version is gone at once")
		}
		if dataOf(old).isStarted() {
			t.Error("the old version is fetched beside the new one")
		}
		if _, err := c.Ready(t.Context()); err == nil {
			t.Error("Ready with nothing of the newest version here and nothing received")
		}
		dataOf(next).set(func(d *fakeData) { d.received = 100 })
		if _, err := c.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "100 bytes received") {
			t.Errorf("Ready = %v, want that nothing of what arrived was right", err)
		}
		dataOf(next).set(func(d *fakeData) { d.pieces = 1 })
		if _, err := c.Ready(t.Context()); err != nil {
			t.Errorf("Ready = %v, want ready with a verified piece", err)
		}
		dataOf(next).finish()
		time.Sleep(72 * time.Hour)
		synctest.Wait()
		if got := c.Versions(salt); !slices.Equal(got, []snapshot.Version{next.Version}) {
			t.Errorf("three days later versions = %v, want the newest alone", got)
		}
		p.with(func(p *fakePeer) {
			if !slices.Equal(p.discarded, []snapshot.Version{old.Version}) {
				t.Errorf("discarded = %v, want %s", p.discarded, old.Version)
			}
		})
	})
}

func TestLatestWaitsForTheTorrentButThePointerDoesNot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old, next := holding(t, "19991231T000000Z", 4, 48*time.Hour), holding(t, "20000101T000000Z", 0, 48*time.Hour)
		first := record(t, old, day(1).Add(-time.Hour), day(14))
		p := &fakePeer{newest: first, found: first, holdings: []catalog.Holding{old}}
		c := run(t, p)
		p.publish(record(t, next, day(1).Add(time.Second), day(15)), catalog.Holding{})
		time.Sleep(40 * time.Minute)
		synctest.Wait()
		if rec, _ := c.Newest(salt); latest(c) != old.Version || rec.Seq <= first.Seq {
			t.Errorf("latest = %s with seq %d, want %s with a seq beyond %d", latest(c), rec.Seq, old.Version, first.Seq)
		}
		// somebody has the torrent at last, and it is opened within seconds
		p.with(func(p *fakePeer) { p.torrents = map[snapshot.InfoHash]catalog.Holding{next.Torrent.InfoHash: next} })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if latest(c) != next.Version {
			t.Errorf("latest = %s, want %s as soon as its torrent is known", latest(c), next.Version)
		}
	})
}

func TestPublisherGoesBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		good, bad := holding(t, "19991230T000000Z", 4, 240*time.Hour), holding(t, "19991231T000000Z", 4, 240*time.Hour)
		p := &fakePeer{newest: record(t, bad, day(1).Add(-time.Hour), day(14)), holdings: []catalog.Holding{bad, good}}
		c := run(t, p)
		if latest(c) != bad.Version {
			t.Fatalf("latest = %s, want %s at first", latest(c), bad.Version)
		}
		p.publish(record(t, good, day(1), day(14)), catalog.Holding{})
		time.Sleep(13 * time.Minute)
		synctest.Wait()
		if latest(c) != good.Version {
			t.Errorf("latest = %s, want the older one that is signed now, %s", latest(c), good.Version)
		}
	})
}

// After three days only the newest version is left. Its publisher takes that back: the one before is opened and fetched again, and
// what was withdrawn is served until that is complete.
func TestPublisherGoesBackToWhatIsGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		good := holding(t, "19991229T000000Z", 0, time.Hour)
		bad := after(t, good, "19991230T000000Z", 4, time.Hour)
		p := &fakePeer{newest: record(t, bad, day(1).Add(-time.Hour), day(14)), holdings: []catalog.Holding{bad}}
		c := run(t, p)
		p.publish(record(t, good, day(1), day(14)), good)
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		if latest(c) != good.Version || !dataOf(good).isStarted() || dataOf(bad).isStarted() {
			t.Errorf("latest = %s, want %s; fetched: %t and what was withdrawn %t", latest(c), good.Version, dataOf(good).isStarted(), dataOf(bad).isStarted())
		}
		if _, ok := c.Open(salt, bad.Version); !ok {
			t.Error("what was withdrawn is gone before there is anything complete")
		}
		dataOf(good).finish()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := c.Versions(salt); !slices.Equal(got, []snapshot.Version{good.Version}) {
			t.Errorf("versions = %v, want %s alone", got, good.Version)
		}
		next := after(t, good, "20000105T000000Z", 4, time.Hour)
		p.publish(record(t, next, day(5), day(14)), next)
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		if latest(c) != next.Version {
			t.Errorf("latest = %s, want the version after that, %s", latest(c), next.Version)
		}
	})
}

func TestPointerIsPutAgainAlsoWhenExpired(t *testing.T) {
	bubble(t, func(t *testing.T) {
		old := holding(t, "19991101T000000Z", 4, time.Hour)
		rec := record(t, old, day(1).Add(-60*24*time.Hour), day(1).Add(-46*24*time.Hour))
		p := &fakePeer{newest: rec, holdings: []catalog.Holding{old}}
		c := run(t, p)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		p.with(func(p *fakePeer) {
			if n := len(p.reputs); n < 15 || n > 31 {
				t.Errorf("the pointer was put %d times in a day, want about hourly", n)
			}
			if p.resolves < 115 || p.resolves > 185 {
				t.Errorf("%d polls in a day, want about one in ten minutes", p.resolves)
			}
		})
		if latest(c) != old.Version {
			t.Error("an expired snapshot is not served any more")
		}
		if _, err := c.Ready(t.Context()); err != nil {
			t.Errorf("Ready = %v, want ready: an expired pointer is no reason to stop", err)
		}
	})
}

func TestFullDiskIsNotReady(t *testing.T) {
	t.Parallel()
	h := holding(t, "19991231T000000Z", 2, time.Hour)
	c := newCatalog(t, &fakePeer{newest: record(t, h, day(1), day(14)), holdings: []catalog.Holding{h}})
	dataOf(h).set(func(d *fakeData) { d.err = errors.New("disk is full") })
	if _, err := c.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("Ready = %v, want the disk's error", err)
	}
	dataOf(h).set(func(d *fakeData) { d.pieces = 4 })
	if _, err := c.Ready(t.Context()); err != nil {
		t.Errorf("Ready = %v, want ready: everything is here", err)
	}
}

func TestAFailingSearchIsReportedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		log := new(bytes.Buffer)
		p := &fakePeer{}
		h := holding(t, "20000101T000000Z", 4, time.Hour)
		begin(t, p, slog.New(slog.NewTextHandler(log, nil)))
		time.Sleep(time.Hour)
		p.publish(record(t, h, day(1), day(14)), h)
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := strings.Count(log.String(), "no newer pointer"); n != 1 {
			t.Errorf("%d lines about failed searches, want 1:\n%s", n, log)
		}
		if n := strings.Count(log.String(), "found again"); n != 1 {
			t.Errorf("%d lines about the end of that, want 1:\n%s", n, log)
		}
	})
}

func TestNewestThatCannotBeOpenedIsExplained(t *testing.T) {
	bubble(t, func(t *testing.T) {
		next := holding(t, "20000101T000000Z", 4, time.Hour)
		p := &fakePeer{openErr: errors.New("is a directory")}
		p.publish(record(t, next, day(1), day(14)), next)
		c := run(t, p)
		time.Sleep(time.Minute)
		if _, err := c.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "is a directory") {
			t.Errorf("Ready = %v, want why it cannot be opened", err)
		}
		if err := c.Trouble(salt, next.Version); err == nil {
			t.Error("no trouble with the newest version, which cannot be opened")
		}
		if err := c.Trouble(salt, "19991231T000000Z"); err != nil {
			t.Errorf("trouble with a version that nobody named: %v", err)
		}
		p.with(func(p *fakePeer) { p.openErr = nil })
		time.Sleep(15 * time.Minute)
		if detail, err := c.Ready(t.Context()); err != nil || c.Trouble(salt, next.Version) != nil || strings.Contains(detail, "directory") {
			t.Errorf("Ready = %q, %v, want ready and nothing of what is over", detail, err)
		}
	})
}
