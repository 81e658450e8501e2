package publish_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

func (b *bench) withdraw(v snapshot.Version, remove bool) (publish.Withdrawal, error) {
	b.t.Helper()
	p := b.open()
	defer p.Close()
	defer b.clock.add(time.Second)
	return p.Withdraw(b.t.Context(), v, remove)
}

func TestTheNewestVersionIsWithdrawn(t *testing.T) {
	for _, remove := range []bool{false, true} {
		t.Run(fmt.Sprintf("remove %v", remove), func(t *testing.T) {
			b := newBench(t)
			b.cfg.Keep = 2
			first, err := b.publishAt(7, false)
			if err != nil {
				t.Fatal(err)
			}
			second, err := b.publishAt(9, false)
			if err != nil {
				t.Fatal(err)
			}
			w, err := b.withdraw(second.Version, remove)
			if err != nil {
				t.Fatal(err)
			}
			rec, ptr, _ := b.pointer()
			if tor := b.check(); tor.InfoHash != first.InfoHash || rec.Seq <= second.Seq || ptr.Height != 7 || !ptr.Created.Equal(first.Version.Time()) {
				t.Errorf("the pointer names %s with seq %d, %+v; want the first", tor.InfoHash, rec.Seq, ptr)
			}
			if w.Version != first.Version || w.Withdrawn != second.Version || w.Seq != rec.Seq || w.Removed != remove || w.URL != first.URL {
				t.Errorf("it reports %+v", w)
			}
			if last := b.net.announced[len(b.net.announced)-1]; !last.Equal(rec) {
				t.Errorf("the DHT was told seq %d, want %d", last.Seq, rec.Seq)
			}
			if _, err := os.Stat(filepath.Join(b.bucket, bucket.InfoHashKey(second.InfoHash))); errors.Is(err, os.ErrNotExist) != remove {
				t.Errorf("the torrent of the second: %v", err)
			}
			if plan, removed := b.retain(); len(removed) > 0 {
				t.Errorf("right after it, %v went: %+v", removed, plan)
			}

			b.clock.add(-time.Hour) // the clock is behind the version that was withdrawn
			third, err := b.publishAt(8, false)
			if err != nil {
				t.Fatal(err)
			}
			if tor := b.check(); tor.Description.Previous != first.InfoHash || third.Version <= second.Version {
				t.Errorf("the next version is %s after %s, want one newer than %s after the first", third.Version, tor.Description.Previous, second.Version)
			}
			if len(third.Removed) != 0 {
				t.Errorf("removed %v: the withdrawn one takes a place", third.Removed)
			}
			b.mustPublish()
			b.checkTidy(2)
		})
	}
}

func TestWhatCannotBeWithdrawn(t *testing.T) {
	b := newBench(t)
	if _, err := b.withdraw("20261120T060000Z", false); !errors.Is(err, pointer.ErrNotFound) {
		t.Errorf("before anything is published: %v", err)
	}
	first := b.mustPublish()
	if _, err := b.withdraw(first.Version, false); !errors.Is(err, publish.ErrNothingBefore) {
		t.Errorf("the only version: %v", err)
	}
	second := b.mustPublish()
	if _, err := b.withdraw(first.Version, false); !errors.Is(err, publish.ErrNotNewest) || !strings.Contains(err.Error(), string(second.Version)) {
		t.Errorf("an older one: %v, want %v that names %s", err, publish.ErrNotNewest, second.Version)
	}
	before, _, _ := b.pointer()
	archive := filepath.Join(b.bucket, bucket.ArchiveKey(salt, first.Version, first.File))
	good, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []struct {
		about string
		do    func() error
		want  error
	}{
		{"wrong bytes in the one before", func() error { return os.WriteFile(archive, append([]byte{good[0] ^ 1}, good[1:]...), 0o644) }, publish.ErrWrongBytes},
		{"a short one before", func() error { return os.WriteFile(archive, good[1:], 0o644) }, publish.ErrNothingBefore},
		{"none before", func() error { return os.Remove(archive) }, publish.ErrNothingBefore},
		{"no torrent of the one before", func() error { return os.Remove(filepath.Join(b.bucket, bucket.InfoHashKey(first.InfoHash))) }, publish.ErrNothingBefore},
	} {
		if err := os.Remove(archive); err != nil && !errors.Is(err, os.ErrNotExist) { // it may be a link to that on disk
			t.Fatal(err)
		}
		if err := os.WriteFile(archive, good, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := damage.do(); err != nil {
			t.Fatal(err)
		}
		if _, err := b.withdraw(second.Version, true); !errors.Is(err, damage.want) {
			t.Errorf("%s: %v, want %v", damage.about, err, damage.want)
		}
		if after, _, _ := b.pointer(); !after.Equal(before) {
			t.Errorf("%s: the pointer has moved", damage.about)
		}
	}
}

// TestTheWayBackIsProbedBeyond5GiB: servers that break beyond some offset keep the pointer from moving.
func TestTheWayBackIsProbedBeyond5GiB(t *testing.T) {
	b := newBench(t)
	tor := b.vast("20261120T060000Z", snapshot.InfoHash{}, 5*gib+3*mib+17)
	rec, err := pointer.Sign(b.cfg.Key, salt, b.clock.Now().UnixMilli()-1000, pointer.Pointer{InfoHash: tor.InfoHash, Created: tor.Description.Created})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.bucket, bucket.PointerKey(salt)), rec.Encode(), 0o644); err != nil {
		t.Fatal(err)
	}
	bad := b.mustPublish()
	if bad.InfoHash == tor.InfoHash || b.check().Description.Previous != tor.InfoHash {
		t.Fatal("the vast one is not the one before")
	}
	good := b.cfg.Public
	before, _, _ := b.pointer()
	for name, row := range brokenBeyond(http.FileServer(http.Dir(b.bucket))) {
		b.cfg.Public = b.serve(row.serve)
		if _, err := b.withdraw(bad.Version, false); !errors.Is(err, row.want) {
			t.Errorf("%s: withdraw = %v, want %v", name, err, row.want)
		}
		if after, _, _ := b.pointer(); !after.Equal(before) {
			t.Fatalf("%s: the pointer has moved", name)
		}
	}
	b.cfg.Public = good
	if w, err := b.withdraw(bad.Version, false); err != nil || w.InfoHash != tor.InfoHash {
		t.Errorf("withdraw = %+v, %v", w, err)
	}
}

func TestARenewalKeepsAWithdrawal(t *testing.T) {
	b := newBench(t)
	first := b.mustPublish()
	second := b.mustPublish()
	if _, err := b.withdraw(second.Version, false); err != nil {
		t.Fatal(err)
	}
	p := b.open()
	defer p.Close()
	if _, err := p.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if tor := b.check(); tor.InfoHash != first.InfoHash {
		t.Errorf("renewed, the pointer names %s, want the first again", tor.InfoHash)
	}
}
