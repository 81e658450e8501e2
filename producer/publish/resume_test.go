package publish_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

// journalFile is what a test looks at in the publisher's journal.
type journalFile struct {
	Begun []struct {
		Version  snapshot.Version `json:"version"`
		File     string           `json:"file"`
		InfoHash string           `json:"info_hash"`
		Dropped  bool             `json:"dropped"`
	} `json:"begun"`
}

func (b *bench) journal() (j journalFile) {
	b.t.Helper()
	raw, err := os.ReadFile(filepath.Join(b.cfg.DataDir, ".producer", salt, "journal.json"))
	if err == nil {
		err = json.Unmarshal(raw, &j)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return j
}

// unfinished is the version that the next run should go on with, empty if there is none.
func (b *bench) unfinished() snapshot.Version {
	b.t.Helper()
	for _, a := range b.journal().Begun {
		if a.InfoHash != "" && !a.Dropped {
			return a.Version
		}
	}
	return ""
}

// breakOn makes one kind of call to the store fail for good.
func (b *bench) breakOn(call string) *brokenStore {
	return &brokenStore{Store: b.store, failOnAll: call}
}

// interrupted publishes until the call of that name fails, and returns the version that was packed.
func (b *bench) interrupted(call string) snapshot.Version {
	b.t.Helper()
	b.cfg.Store = b.breakOn(call)
	if _, err := b.publish(); !errors.Is(err, errBroken) {
		b.t.Fatalf("publish = %v, want %v", err, errBroken)
	}
	b.cfg.Store = b.store
	return b.unfinished()
}

// TestAKillAtAnyCallOfTheStore ends a publication at every call to the bucket in turn, as a kill would: the disk stays as it is
// in that moment, and nothing is cleared away. The next process goes on, under the same version from the moment that the
// archive is packed.
func TestAKillAtAnyCallOfTheStore(t *testing.T) {
	went := map[bool]int{}
	for n, done := 1, false; !done; n++ {
		t.Run(fmt.Sprintf("call %d", n), func(t *testing.T) { done = killAt(t, n, went) })
		if n > 100 {
			t.Fatal("there is no end to the calls")
		}
	}
	if went[true] < 4 || went[false] < 2 {
		t.Errorf("%d publications were continued, %d were not: the calls are not those that this was made for", went[true], went[false])
	}
}

// killAt reports whether a publication needs fewer calls than n. It counts which ones were continued.
func killAt(t *testing.T, n int, went map[bool]int) (done bool) {
	b := newBench(t)
	b.cfg.Keep = 2
	b.mustPublish()
	second := b.mustPublish()
	left := filepath.Join(t.TempDir(), "left")
	broken := &brokenStore{Store: b.store, failAt: n, forever: true}
	broken.before = func() { // the first of the failing calls
		if err := os.CopyFS(left, os.DirFS(b.cfg.DataDir)); err != nil {
			t.Error(err)
		}
	}
	b.cfg.Store = broken
	_, _ = b.publish()
	if broken.failed == "" {
		return true
	}
	keepTimes(t, b.cfg.DataDir, left)
	b.cfg.DataDir, b.cfg.Store = left, b.store
	begun := b.unfinished()
	if begun != "" && !b.isPublished(begun) {
		went[true]++
	} else {
		went[false]++
		begun = ""
	}
	if tor := b.check(); tor.InfoHash != second.InfoHash && begun != "" {
		t.Errorf("after the kill at %q the pointer names %s, want %s as before", broken.failed, tor.InfoHash, second.InfoHash)
	}
	rep := b.mustPublish()
	if rep.Resumed != (begun != "") || (rep.Resumed && rep.Version != begun) {
		t.Errorf("after the kill at %q: resumed %t as %s, want %q", broken.failed, rep.Resumed, rep.Version, begun)
	}
	if tor := b.check(); tor.InfoHash != rep.InfoHash {
		t.Errorf("the pointer names %s, want %s", tor.InfoHash, rep.InfoHash)
	}
	b.checkTidy(2)
	return false
}

// isPublished reports whether the bucket's pointer or this machine's memory names v.
func (b *bench) isPublished(v snapshot.Version) bool {
	b.t.Helper()
	p := b.open()
	defer p.Close()
	for _, a := range b.journal().Begun {
		if a.Version == v {
			return false
		}
	}
	return true
}

// keepTimes gives the files of a copy the times that they had.
func keepTimes(t *testing.T, from, to string) {
	t.Helper()
	for _, name := range files(t, to) {
		if fi, err := os.Stat(filepath.Join(from, name)); err == nil {
			if err := os.Chtimes(filepath.Join(to, name), fi.ModTime(), fi.ModTime()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestNothingIsStoredBeforeItIsWrittenDown looks at the disk in the moment of the first upload.
func TestNothingIsStoredBeforeItIsWrittenDown(t *testing.T) {
	b := newBench(t)
	looked := false
	b.cfg.Store = &watchedStore{Store: b.store, before: func(key string) {
		if looked || !strings.HasSuffix(key, ".zst") {
			return
		}
		looked = true
		v := b.unfinished()
		o, err := bucket.ParseKey(key)
		if err != nil || o.Version != v {
			t.Errorf("%s is stored while the journal has %q", key, v)
		}
		raw, err := os.ReadFile(filepath.Join(b.cfg.DataDir, ".producer", salt, "unfinished.torrent"))
		tor, e := snapshot.ParseTorrent(raw)
		if err := errors.Join(err, e); err != nil || tor.Description.Version != v {
			t.Errorf("the torrent beside the journal is not there yet: %v", err)
		}
	}}
	b.mustPublish()
	if !looked {
		t.Error("no archive was stored")
	}
	if left, err := filepath.Glob(filepath.Join(b.cfg.DataDir, ".producer", salt, "unfinished*")); err != nil || len(left) != 0 {
		t.Errorf("after the publication there is still %q", left)
	}
}

// TestWhatIsNotContinued has reasons for which an unfinished publication is given up. The next one has another version then, and
// nothing of the first is left.
func TestWhatIsNotContinued(t *testing.T) {
	for name, change := range map[string]func(b *bench, v snapshot.Version){
		"the source has changed":     func(b *bench, _ snapshot.Version) { b.write("more", []byte("more")) },
		"it is another source":       func(b *bench, _ snapshot.Version) { b.source = b.copyOfSource() },
		"the level is another one":   func(b *bench, _ snapshot.Version) { b.cfg.Level = "best" },
		"the format is another one":  func(b *bench, _ snapshot.Version) { b.cfg.Hybrid = true },
		"the pieces are longer":      func(b *bench, _ snapshot.Version) { b.cfg.PieceLength = 1 << 20 },
		"the name is another one":    func(b *bench, _ snapshot.Version) { b.cfg.Name = "other.tar.zst" },
		"the archive is gone":        func(b *bench, v snapshot.Version) { b.ok(os.Remove(b.packed(v))) },
		"the archive is shorter":     func(b *bench, v snapshot.Version) { b.ok(os.Truncate(b.packed(v), 1000)) },
		"the archive was written to": func(b *bench, v snapshot.Version) { b.damage(v, time.Now()) },
		"a bit of the archive rotted": func(b *bench, v snapshot.Version) {
			fi, err := os.Stat(b.packed(v))
			b.ok(err)
			b.damage(v, fi.ModTime())
		},
		"the torrent is gone": func(b *bench, _ snapshot.Version) {
			b.ok(os.Remove(filepath.Join(b.cfg.DataDir, ".producer", salt, "unfinished.torrent")))
		},
		"the torrent is damaged": func(b *bench, _ snapshot.Version) {
			b.ok(os.WriteFile(filepath.Join(b.cfg.DataDir, ".producer", salt, "unfinished.torrent"), []byte("de"), 0o644))
		},
		"somebody else has published": func(b *bench, _ snapshot.Version) { b.rival().mustPublish() },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.cfg.Keep = 3
			b.mustPublish()
			v := b.interrupted("put torrents/")
			if v == "" {
				t.Fatal("nothing was packed")
			}
			change(b, v)
			rep := b.mustPublish()
			if rep.Resumed || rep.Version == v {
				t.Errorf("%s was continued, as %s", v, rep.Version)
			}
			if tor := b.check(); tor.InfoHash != rep.InfoHash {
				t.Errorf("the pointer names %s, want %s", tor.InfoHash, rep.InfoHash)
			}
			for _, name := range append(files(t, b.bucket), files(t, b.cfg.DataDir)...) {
				if strings.Contains(name, string(v)) {
					t.Errorf("%s is still there", name)
				}
			}
		})
	}
}

func (b *bench) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// packed is the archive of an unfinished publication.
func (b *bench) packed(v snapshot.Version) string {
	return filepath.Join(b.cfg.DataDir, salt, string(v), "ledger.tar.zst")
}

// damage changes a byte of a packed archive and gives it a time. The bucket's copy is another file then.
func (b *bench) damage(v snapshot.Version, modified time.Time) {
	b.t.Helper()
	raw, err := os.ReadFile(b.packed(v))
	b.ok(err)
	raw[len(raw)/2]++
	b.ok(os.Remove(b.packed(v)))
	b.ok(os.WriteFile(b.packed(v), raw, 0o644))
	b.ok(os.Chtimes(b.packed(v), modified, modified))
}

// copyOfSource is the same tree elsewhere, times included.
func (b *bench) copyOfSource() string {
	b.t.Helper()
	to := filepath.Join(b.t.TempDir(), "ledger")
	b.ok(os.CopyFS(to, os.DirFS(b.source)))
	keepTimes(b.t, b.source, to)
	return to
}

func TestAStreamIsNotContinued(t *testing.T) {
	b := newBench(t)
	b.cfg.Name = "ledger.zst"
	stream := func() (publish.Report, error) {
		src, err := publish.StreamSource(strings.NewReader("the same"), "ledger.zst", false)
		b.ok(err)
		return b.publishSource(src)
	}
	b.cfg.Store = b.breakOn("put torrents/")
	if _, err := stream(); !errors.Is(err, errBroken) {
		t.Fatalf("publish = %v, want %v", err, errBroken)
	}
	v := b.unfinished()
	if v != "" {
		t.Errorf("%s is kept", v)
	}
	b.cfg.Store = b.store
	rep, err := stream()
	if err != nil || rep.Resumed {
		t.Errorf("publish = %v, resumed %t", err, rep.Resumed)
	}
	b.checkTidy(1)
}

func TestAPublicAddressMayChangeMeanwhile(t *testing.T) {
	b := newBench(t)
	v := b.interrupted("put torrents/")
	b.cfg.Public = nil
	rep := b.mustPublish()
	if !rep.Resumed || rep.Version != v || rep.URL != "" {
		t.Errorf("%s went on as %s with address %q, want none", v, rep.Version, rep.URL)
	}
	if tor := b.check(); len(tor.Origins) != 0 {
		t.Errorf("the torrent names %q", tor.Origins)
	}
}

func TestFinishNeedsNoSource(t *testing.T) {
	b := newBench(t)
	first := b.mustPublish()
	finish := func() (publish.Report, bool) {
		p := b.open()
		defer p.Close()
		rep, ok, err := p.Finish(t.Context())
		b.ok(err)
		b.clock.add(time.Second)
		return rep, ok
	}
	if rep, ok := finish(); ok {
		t.Errorf("nothing was unfinished, yet %s is out", rep.Version)
	}
	v := b.interrupted("put torrents/")
	b.write("data.ldb", sample(9, 1000)) // it goes on all the same
	rep, ok := finish()
	if tor := b.check(); !ok || rep.Version != v || tor.Description.Version != v || tor.Description.Previous != first.InfoHash {
		t.Errorf("Finish = %s, %t; want %s after %s", rep.Version, ok, v, first.InfoHash)
	}
	if rep.RawSize < 750_000 || rep.Size == 0 || rep.SHA256 == "" {
		t.Errorf("the report lacks what the run before knew: %+v", rep)
	}
	b.interrupted("put torrents/")
	b.cfg.Hybrid = true
	if rep, ok := finish(); ok {
		t.Errorf("%s went on although it is to be a hybrid", rep.Version)
	}
	b.checkTidy(2)
}

// TestAForcedHeightGoesOn: what was allowed at the beginning is not asked for again.
func TestAForcedHeightGoesOn(t *testing.T) {
	b := newBench(t)
	request := func(req publish.Request) error {
		src, err := publish.OpenSource(t.Context(), b.source)
		b.ok(err)
		req.Source = src
		p := b.open()
		defer p.Close()
		_, err = p.Publish(t.Context(), req)
		b.clock.add(time.Second)
		return err
	}
	b.ok(request(publish.Request{Height: 100}))
	b.cfg.Store = b.breakOn("put torrents/")
	if err := request(publish.Request{Height: 50, Force: true}); !errors.Is(err, errBroken) {
		t.Fatalf("publish = %v, want %v", err, errBroken)
	}
	b.cfg.Store = b.store
	p := b.open()
	defer p.Close()
	rep, ok, err := p.Finish(t.Context())
	if _, ptr, _ := b.pointer(); err != nil || !ok || ptr.Height != 50 {
		t.Errorf("Finish = %s, %t, %v; the pointer has height %d, want 50", rep.Version, ok, err, ptr.Height)
	}
}

func TestOnlyOneAttemptIsKept(t *testing.T) {
	b := newBench(t)
	b.mustPublish()
	one := b.interrupted("put torrents/")
	b.write("more", []byte("more"))
	two := b.interrupted("put torrents/")
	if two == "" || two == one {
		t.Fatalf("attempts %q and %q, want two", one, two)
	}
	for _, name := range files(t, b.cfg.DataDir) {
		if strings.Contains(name, string(one)) {
			t.Errorf("%s is still there", name)
		}
	}
	if rep := b.mustPublish(); rep.Version != two || !rep.Resumed {
		t.Errorf("%s is out, want %s", rep.Version, two)
	}
	b.checkTidy(2)
}
