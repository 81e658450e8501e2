package follow_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/mirror/follow"
)

const second = time.Second

// wantState fails unless the only channel is in state, ready or not, and says all the words.
func (m *mirror) wantState(t *testing.T, state follow.State, ready bool, words ...string) {
	t.Helper()
	s := m.only(t)
	if s.State != state || (s.Ready() == nil) != ready {
		t.Errorf("state %q, ready %v (%s), want %q, %v", s.State, s.Ready() == nil, s, state, ready)
	}
	for _, w := range words {
		if !strings.Contains(s.String(), w) {
			t.Errorf("status %q does not say %q", s, w)
		}
	}
}

// wantHeld fails unless these are the versions here, oldest first.
func (m *mirror) wantHeld(t *testing.T, want ...snapshot.InfoHash) {
	t.Helper()
	if diff := cmp.Diff(want, m.peer.versions()); diff != "" {
		t.Errorf("versions held (-want +got):\n%s", diff)
	}
}

// complete announces raw as the newest version and lets all of it arrive.
func (m *mirror) complete(t *testing.T, pub *publisher, raw string) snapshot.InfoHash {
	t.Helper()
	ih := m.announced(t, pub, raw)
	m.peer.copyOf(t, ih).deliver(t, 100)
	pass(5 * second)
	return ih
}

// announced lets the follower find raw as the newest version.
func (m *mirror) announced(t *testing.T, pub *publisher, raw string, change ...func(*snapshot.Description)) snapshot.InfoHash {
	t.Helper()
	rec := pub.publish(t, raw, change...)
	m.peer.announce(rec)
	pass(12 * time.Minute)
	p, err := rec.Pointer()
	if err != nil {
		t.Fatal(err)
	}
	return p.InfoHash
}

func TestGetsTheNewestAndSeedsTheOldUntilThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		rec := pub.publish(t, "one")
		peer.announce(rec)
		m := run(t, peer, func(c *follow.Config) { c.Retain = 0 })
		pass(2 * second)
		one := peer.versions()[0]
		m.wantState(t, follow.Downloading, true, "0%")
		peer.copyOf(t, one).deliver(t, 50)
		pass(2 * second)
		m.wantState(t, follow.Downloading, true, string(peer.copyOf(t, one).Version()))
		peer.copyOf(t, one).deliver(t, 100)
		pass(3 * second)
		m.wantState(t, follow.Seeding, true, "100%")

		two := m.announced(t, pub, "two")
		m.wantState(t, follow.Downloading, true)
		m.wantHeld(t, one, two)
		peer.copyOf(t, two).deliver(t, 99)
		pass(5 * second)
		m.wantHeld(t, one, two)
		peer.copyOf(t, two).deliver(t, 100)
		pass(5 * second)
		m.wantHeld(t, two)
		m.wantState(t, follow.Seeding, true)
	})
}

func TestRetainsWhatTheOperatorWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		m := run(t, newFakePeer(t, pub), func(c *follow.Config) { c.Retain = 2 })
		m.complete(t, pub, "one")
		two, three, four := m.complete(t, pub, "two"), m.complete(t, pub, "three"), m.complete(t, pub, "four")
		m.wantHeld(t, two, three, four)
		if got := m.only(t).Versions; got != 3 {
			t.Errorf("status counts %d complete versions, want 3", got)
		}
	})
}

func TestGoesBackFromWhatWasWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		m := run(t, newFakePeer(t, pub), func(c *follow.Config) { c.Retain = 0 })
		one := m.complete(t, pub, "one")
		two := m.announced(t, pub, "two")
		m.peer.copyOf(t, two).deliver(t, 90) // so much that it would be finished first if it were the older one
		pass(2 * second)
		m.wantState(t, follow.Downloading, true)
		m.peer.announce(pub.withdraw(t, one))
		pass(time.Hour)
		m.wantState(t, follow.Seeding, true, string(pub.torrents[one].Description.Version))
		m.wantHeld(t, one)

		three := m.complete(t, pub, "three")
		m.wantHeld(t, three)
		four := m.announced(t, pub, "four")
		m.peer.copyOf(t, four).deliver(t, 90)
		pass(2 * second)
		m.peer.announce(pub.withdraw(t, one)) // which is not here any more
		pass(time.Hour)
		m.peer.copyOf(t, one).deliver(t, 100)
		pass(time.Hour)
		m.wantState(t, follow.Seeding, true, string(pub.torrents[one].Description.Version))
		m.wantHeld(t, one)
	})
}

func TestAWrongWholeIsNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		m := run(t, newFakePeer(t, pub), func(c *follow.Config) { c.Retain = 0 })
		one := m.complete(t, pub, "one")
		two := m.announced(t, pub, "two", func(d *snapshot.Description) { d.SHA256[0]++ })
		m.peer.copyOf(t, two).deliver(t, 100)
		pass(time.Hour)
		m.wantState(t, follow.Failed, false, "verification failed", "the publisher signed")
		m.wantHeld(t, one, two)
		three := m.complete(t, pub, "three")
		m.wantState(t, follow.Seeding, true)
		m.wantHeld(t, three)
		if s := m.only(t); len(s.Faults) > 0 {
			t.Errorf("faults %q remain", s.Faults)
		}
	})
}

func TestDamagedPiecesAreFetchedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		m := run(t, newFakePeer(t, pub))
		one := m.announced(t, pub, "one")
		cp := m.peer.copyOf(t, one)
		cp.deliver(t, 100)
		m.peer.set(func() { cp.bad = 1 })
		if err := os.WriteFile(cp.Path(), make([]byte, cp.Torrent().Length), 0o644); err != nil {
			t.Fatal(err)
		}
		pass(10 * second)
		m.wantState(t, follow.Downloading, true, "damaged on disk: 1 piece")
		cp.deliver(t, 100)
		pass(10 * second)
		m.wantState(t, follow.Seeding, true)
		if s := m.only(t); len(s.Faults) > 0 {
			t.Errorf("faults %q remain", s.Faults)
		}
	})
}

func TestLooksOftenUntilThereIsAPointer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		m := run(t, peer)
		pass(2 * time.Minute)
		m.wantState(t, follow.Searching, false, "no pointer found")
		if n := len(peer.asked()); n < 5 || n > 10 {
			t.Errorf("%d attempts in the first two minutes, want 5 to 10", n)
		}
		pass(28 * time.Minute)
		if n := len(peer.asked()); n > 30 {
			t.Errorf("%d attempts in half an hour, want at most 30: the delay must grow", n)
		}
		peer.announce(pub.publish(t, "one"))
		pass(3 * time.Minute)
		m.wantState(t, follow.Downloading, true)

		peer.set(func() { peer.slow = 20 * time.Second }) // which does not put off the next one
		pass(10 * time.Minute)
		before := len(peer.asked())
		pass(10 * time.Hour)
		polls := len(peer.asked()) - before
		if polls < 60 || polls > 75 {
			t.Errorf("%d polls in 10 h at an interval of 8 to 10 min, want 60 to 75", polls)
		}
		gaps := map[time.Duration]bool{}
		asked := peer.asked()[before:]
		for i := 1; i < len(asked); i++ {
			gap := asked[i].Sub(asked[i-1])
			if gap < 8*time.Minute || gap > 10*time.Minute {
				t.Errorf("polled after %s, want 8 to 10 min: never later than POLL_INTERVAL says", gap)
			}
			gaps[gap] = true
		}
		if len(gaps) < 10 {
			t.Error("polls are not spread: mirrors would act in step")
		}
	})
}

func TestOneBrokenChannelDoesNotStopTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, good := newPublisher(t, "broken"), newPublisher(t, "good")
		peer := newFakePeer(t, broken, good)
		nobodys := pointer.Record{Key: broken.channel.Key, Salt: "broken", Seq: 1, Value: []byte("32:" + strings.Repeat("x", 32))}
		peer.announce(nobodys)
		peer.announce(good.publish(t, "one"))
		m := run(t, peer)
		pass(10 * second)
		peer.copyOf(t, peer.versions()[0]).deliver(t, 100)
		pass(10 * second)
		list := m.Status()
		if list[0].Channel != broken.channel || list[0].Ready() == nil {
			t.Errorf("broken channel: %s, want not ready", list[0])
		}
		if list[1].State != follow.Seeding {
			t.Errorf("good channel: %s, want seeding", list[1])
		}
	})
}

func TestAPointerMayNameTheV2HalfOfAHybrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		m := run(t, newFakePeer(t, pub))
		hybrid := pub.hybrid(t, "one")
		for seq := range int64(2) { // then again with a higher sequence number: it is the same snapshot
			m.peer.announce(pointer.Record{
				Key: pub.channel.Key, Salt: "daily", Seq: 1370 + seq, Value: append([]byte("32:"), hybrid.InfoSHA256[:]...),
			})
			pass(12 * time.Minute)
			m.wantHeld(t, hybrid.InfoHash)
			if seq == 0 {
				m.peer.copyOf(t, hybrid.InfoHash).deliver(t, 100)
				pass(5 * second)
			}
			m.wantState(t, follow.Seeding, true)
		}
		if line := m.only(t).String(); !strings.Contains(line, "expiry unknown") {
			t.Errorf("status %q does not say that the expiry is unknown", line)
		}
	})
}

func TestARenewedPointerGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		m := run(t, newFakePeer(t, pub))
		one := m.announced(t, pub, "one")
		m.peer.copyOf(t, one).deliver(t, 40)
		renewed := pub.sign(t, one)
		m.peer.announce(renewed)
		pass(12 * time.Minute)
		m.wantHeld(t, one)
		if got := m.only(t).Seq; got != renewed.Seq {
			t.Errorf("seq %d, want that of the renewal, %d", got, renewed.Seq)
		}
		m.peer.copyOf(t, one).deliver(t, 100)
		pass(5 * second)
		m.wantState(t, follow.Seeding, true)
	})
}

func TestAnExpiredPointerIsSaidLoudly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		pub.ttl = time.Hour
		m := run(t, newFakePeer(t, pub))
		one := m.complete(t, pub, "one")
		m.peer.set(func() { m.peer.failure = pointer.ErrNotFound })
		pass(11 * time.Hour)
		m.wantHeld(t, one)
		m.wantState(t, follow.Seeding, true, "EXPIRED", "no pointer found")
		if n := strings.Count(m.log.String(), "the pointer has expired"); n < 8 || n > 13 {
			t.Errorf("said %d times within ten hours, want about once an hour", n)
		}
	})
}

func TestAStalledDownloadIsNotReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		m := run(t, newFakePeer(t, pub))
		one := m.announced(t, pub, "one")
		cp := m.peer.copyOf(t, one)
		cp.deliver(t, 10)
		pass(4 * time.Minute)
		m.wantState(t, follow.Downloading, true)
		pass(2 * time.Minute)
		m.wantState(t, follow.Waiting, false, "stalled", "3 peers connected", "no origin is known")
		cp.deliver(t, 20)
		pass(2 * second)
		m.wantState(t, follow.Downloading, true)
	})
}

func TestASmallDiskWaitsForSpace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		peer.announce(pub.publish(t, "one"))
		var free atomic.Int64
		free.Store(64 << 20)
		m := run(t, peer, func(c *follow.Config) { *c = c.WithFree(free.Load) })
		pass(time.Minute)
		m.wantState(t, follow.Waiting, false, "disk space", "needs", "only 64 MiB are free")
		free.Store(1 << 30)
		pass(5 * time.Minute)
		m.wantState(t, follow.Downloading, true)
		cp := peer.copyOf(t, peer.versions()[0])
		peer.set(func() { cp.disk = errors.New("no space left on device") })
		pass(time.Hour)
		m.wantState(t, follow.Waiting, false, "no space left on device")
		peer.set(func() { cp.disk = nil })
		pass(2 * second)
		m.wantState(t, follow.Downloading, true)
	})
}

func TestPassesThePointerOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		m := run(t, newFakePeer(t, pub))
		m.complete(t, pub, "one")
		pass(24 * time.Hour)
		n := 0
		m.peer.set(func() { n = len(m.peer.reputs) })
		if n < 22 || n > 27 {
			t.Errorf("%d re-puts in a day, want about 24", n)
		}
	})
}

// The publisher puts its pointer once and dies, bucket and all. The DHT forgets after two hours what nobody puts again; a
// mirror keeps the channel findable until the pointer expires, and after it.
func TestAChannelOutlivesItsPublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		m := run(t, peer)
		one := m.complete(t, pub, "one")
		rec, _ := peer.Newest(pub.channel)
		if err := peer.Reput(t.Context(), rec); err != nil { // the publisher's own
			t.Fatal(err)
		}
		peer.set(func() { peer.failure = pointer.ErrNotFound })
		died := time.Now()
		for step := 1; time.Since(died) < pub.ttl+24*time.Hour; step++ {
			pass(10 * time.Minute)
			if got, ok := peer.inDHT(pub.channel); !ok || !got.Equal(rec) {
				t.Fatalf("%v after the publisher died, its pointer is not in the DHT", time.Since(died))
			}
			if step%(6*24) == 0 {
				m.wantHeld(t, one)
			}
		}
		m.stop()
		pass(3 * time.Hour)
		if _, ok := peer.inDHT(pub.channel); ok {
			t.Error("the pointer is in the DHT though nobody puts it")
		}
	})
}

func TestARestartNeedsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		m := run(t, peer)
		one := m.complete(t, pub, "one")
		m.stop()

		peer.set(func() { peer.failure = pointer.ErrNotFound })
		m = run(t, peer)
		pass(second)
		m.wantState(t, follow.Seeding, true, "no pointer found")
		m.wantHeld(t, one)
		m.stop()

		// A file that was written to since is not taken on trust.
		cp := peer.copyOf(t, one)
		later := time.Now().Add(time.Hour)
		if err := os.Chtimes(cp.Path(), later, later); err != nil {
			t.Fatal(err)
		}
		m = run(t, peer)
		pass(second)
		if !strings.Contains(m.log.String(), "complete and verified") || strings.Count(m.log.String(), "complete and verified") < 1 {
			t.Error("an archive with another time was not verified again")
		}
		m.wantState(t, follow.Seeding, true)
	})
}

func TestATorrentThatNobodyHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		peer.openErr = errors.New("metadata from 0 peers")
		peer.announce(pub.publish(t, "one"))
		m := run(t, peer)
		pass(second)
		m.wantState(t, follow.Opening, true)
		pass(6 * time.Minute)
		m.wantState(t, follow.Waiting, false, "metadata from 0 peers")
		peer.set(func() { peer.openErr = nil })
		pass(5 * time.Minute)
		m.wantState(t, follow.Downloading, true)
	})
}

func TestUnpacksEachVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		out := t.TempDir()
		m := run(t, newFakePeer(t, pub), func(c *follow.Config) { c.Extract, c.ExtractDir, c.Retain = true, out, 0 })
		one := m.complete(t, pub, "one")
		folder := func(ih snapshot.InfoHash) string {
			return filepath.Join(out, "daily", string(pub.torrents[ih].Description.Version))
		}
		wantFile(t, filepath.Join(folder(one), "data.ldb"), "one")
		two := m.complete(t, pub, "two")
		pass(5 * second)
		wantFile(t, filepath.Join(folder(two), "data.ldb"), "two")
		wantFile(t, filepath.Join(out, "daily", "latest", "data.ldb"), "two")
		m.complete(t, pub, "three")
		pass(5 * second)
		wantFile(t, filepath.Join(out, "daily", "latest", "data.ldb"), "three")
		if _, err := os.Stat(folder(two)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("what was unpacked from the removed version two is still there: %v", err)
		}
	})
}

func TestUnpackedFilesInUseStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		m := run(t, newFakePeer(t, pub), func(c *follow.Config) { c.Extract, c.Retain = true, 0 })
		one := m.complete(t, pub, "one")
		folder := filepath.Join(m.peer.dir, "daily", "extracted", string(pub.torrents[one].Description.Version))
		lock := filepath.Join(folder, "lock.mdb")
		if err := os.WriteFile(lock, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		later := time.Now().AddDate(100, 0, 0) // the bubble's clock is behind that of the files
		if err := os.Chtimes(lock, later, later); err != nil {
			t.Fatal(err)
		}
		m.complete(t, pub, "two")
		pass(5 * second)
		m.complete(t, pub, "three")
		pass(5 * second)
		wantFile(t, filepath.Join(folder, "data.ldb"), "one")
		if !strings.Contains(m.log.String(), "they stay") {
			t.Error("the log does not say that files stay")
		}
	})
}

func TestForeignFilesAreNotOverwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		rec := pub.publish(t, "one")
		version := pub.torrents[must(rec.Pointer()).InfoHash].Description.Version
		foreign := filepath.Join(peer.dir, "daily", "extracted", string(version), "data.ldb")
		if err := errors.Join(os.MkdirAll(filepath.Dir(foreign), 0o755), os.WriteFile(foreign, []byte("mine"), 0o644)); err != nil {
			t.Fatal(err)
		}
		peer.announce(rec)
		m := run(t, peer, func(c *follow.Config) { c.Extract = true })
		pass(2 * second)
		peer.copyOf(t, peer.versions()[0]).deliver(t, 100)
		pass(time.Minute)
		wantFile(t, foreign, "mine")
		m.wantState(t, follow.Waiting, false, "extraction: in the way", foreign)
		if err := os.RemoveAll(filepath.Dir(foreign)); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		wantFile(t, foreign, "one")
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v, want %q", path, got, err, want)
	}
}

func TestASealedArchiveThatCannotBeUnpackedIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		peer.announce(pub.publish(t, "one"))
		if _, err := once(t, peer, func(c *fakeCopy) { c.deliver(t, 100) }); err != nil {
			t.Fatal(err)
		}
		c := peer.copyOf(t, peer.versions()[0])
		rot(t, c)
		m := run(t, peer, func(c *follow.Config) { c.Extract = true })
		pass(time.Minute)
		c.deliver(t, 100)
		pass(time.Minute)
		if s := m.only(t); s.State != follow.Seeding || s.Ready() != nil {
			t.Errorf("status %q, want seeding", s)
		}
		wantFile(t, filepath.Join(peer.dir, "daily", "extracted", string(c.Version()), "data.ldb"), "one")
	})
}

func TestNotReadyWhileUnpackingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		peer.announce(pub.publish(t, "one", func(d *snapshot.Description) { d.RawSHA256[0]++ }))
		m := run(t, peer, func(c *follow.Config) { c.Extract = true })
		pass(time.Minute)
		peer.copyOf(t, peer.versions()[0]).deliver(t, 100)
		pass(time.Minute)
		if s := m.only(t); s.Ready() == nil || !strings.Contains(s.String(), "extraction") {
			t.Errorf("ready with %q, want the reason why it cannot be unpacked", s)
		}
	})
}

func TestMissingTorrentIsReportedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pub := newPublisher(t, "daily")
		peer := newFakePeer(t, pub)
		peer.announce(pub.publish(t, "one"))
		peer.openErr = errors.New("metadata from 0 peers")
		m := run(t, peer)
		pass(time.Minute)
		m.wantState(t, follow.Waiting, false, "torrent: metadata from 0 peers")
		pass(time.Hour)
		m.wantState(t, follow.Waiting, false, "torrent: metadata from 0 peers")
		m.stop()
		if n := strings.Count(m.log.String(), "metadata from 0 peers"); n < 1 || n > 7 {
			t.Errorf("said %d times in an hour, want once, and at most every ten minutes", n)
		}
	})
}
