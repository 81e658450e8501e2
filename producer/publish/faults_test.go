package publish_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
)

// TestAFailureAtAnyCallOfTheStore breaks every call to the bucket in turn, once for one call and once for good, while a
// third snapshot is published over two others, of which the oldest has to go.
func TestAFailureAtAnyCallOfTheStore(t *testing.T) {
	for _, forever := range []bool{false, true} {
		for n, done := 1, false; !done; n++ {
			t.Run(fmt.Sprintf("call %d, forever %v", n, forever), func(t *testing.T) { done = failAt(t, n, forever) })
			if n > 100 {
				t.Fatal("there is no end to the calls")
			}
		}
	}
}

// failAt reports whether a publication needs fewer calls than n.
func failAt(t *testing.T, n int, forever bool) (done bool) {
	b := newBench(t)
	b.cfg.Keep = 2
	b.mustPublish()
	second := b.mustPublish()
	broken := &brokenStore{Store: b.store, failAt: n, forever: forever}
	b.cfg.Store = broken
	third, err := b.publish()
	tor := b.check()
	switch {
	case broken.failed == "":
		return true
	case err == nil: // it failed while clearing up
		if tor.InfoHash != third.InfoHash {
			t.Errorf("after %s failed, the pointer names %s, want the new %s", broken.failed, tor.InfoHash, third.InfoHash)
		}
	case !errors.Is(err, errBroken) || !errors.Is(err, bucket.ErrUnreachable):
		t.Errorf("after %s failed: %v, want %v", broken.failed, err, errBroken)
	case tor.InfoHash != second.InfoHash:
		t.Errorf("after %s failed, the pointer names %s, want %s as before", broken.failed, tor.InfoHash, second.InfoHash)
	}
	seq, _, _ := b.pointer()

	b.cfg.Store = b.store
	fourth := b.mustPublish()
	if tor := b.check(); tor.InfoHash != fourth.InfoHash || fourth.Seq <= seq.Seq {
		t.Errorf("the next publication: pointer names %s, seq %d after %d; want %s", tor.InfoHash, fourth.Seq, seq.Seq, fourth.InfoHash)
	}
	b.checkTidy(2)
	return false
}

// checkTidy makes sure that bucket and disk hold keep versions, whole, and nothing else.
func (b *bench) checkTidy(keep int) {
	b.t.Helper()
	versions := make(map[snapshot.Version]int)
	hashes := 0
	for _, name := range b.objects() {
		o, err := bucket.ParseKey(name)
		switch {
		case err != nil:
			b.t.Errorf("the bucket holds %s: %v", name, err)
		case o.Kind == bucket.KindInfoHashTorrent:
			hashes++
		case o.Version != "":
			versions[o.Version]++
		}
	}
	if len(versions) != keep || hashes != keep {
		b.t.Errorf("the bucket has %d versions and %d torrents by hash, want %d: %v", len(versions), hashes, keep, versions)
	}
	for v, n := range versions {
		if n != 2 {
			b.t.Errorf("version %s has %d objects, want archive and torrent", v, n)
		}
	}
	onDisk := make(map[string]bool)
	for _, name := range files(b.t, b.cfg.DataDir) {
		onDisk[filepath.Dir(name)] = true
		if strings.Contains(name, ".part") {
			b.t.Errorf("unfinished file on disk: %s", name)
		}
	}
	if len(onDisk) != keep {
		b.t.Errorf("the disk has %d versions, want %d: %v", len(onDisk), keep, onDisk)
	}
}

func TestARunKilledWhilePackingIsClearedAway(t *testing.T) {
	b := newBench(t)
	b.mustPublish()
	const version = "20261120T060000Z"
	dir, state := filepath.Join(b.cfg.DataDir, salt, version), filepath.Join(b.cfg.DataDir, ".producer", salt)
	begun := fmt.Sprintf(`{"format":1,"begun":[{"version":%q,"file":"ledger.tar.zst"}]}`, version)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, ".ledger.tar.zst.part"), []byte("x"), 0o644),
		os.WriteFile(filepath.Join(state, "journal.json"), []byte(begun), 0o644)); err != nil {
		t.Fatal(err)
	}
	if rep := b.mustPublish(); rep.Resumed || rep.Version == version {
		t.Errorf("%s was continued", rep.Version)
	}
	b.check()
	b.checkTidy(2)
}

// TestAnAttemptOfAnOlderProgramIsClearedAway: its journal does not say enough to go on.
func TestAnAttemptOfAnOlderProgramIsClearedAway(t *testing.T) {
	b := newBench(t)
	b.mustPublish()
	v := b.interrupted("put torrents/")
	path := filepath.Join(b.cfg.DataDir, ".producer", salt, "journal.json")
	a := b.journal().Begun[0]
	begun := fmt.Sprintf(`{"format":1,"begun":[{"version":%q,"file":%q,"info_hash":%q,"fingerprint":"ab"}]}`, a.Version, a.File, a.InfoHash)
	if err := os.WriteFile(path, []byte(begun), 0o644); err != nil {
		t.Fatal(err)
	}
	if rep := b.mustPublish(); rep.Resumed || rep.Version == v {
		t.Errorf("%s was continued", rep.Version)
	}
	b.check()
	b.checkTidy(2)
}

func TestARunKilledAfterSigningIsNotCleared(t *testing.T) {
	b := newBench(t)
	rep := b.mustPublish()
	path := filepath.Join(b.cfg.DataDir, ".producer", salt, "journal.json")
	// What the journal was like just before it heard that the record is signed.
	before := fmt.Sprintf(`{"format":1,"begun":[{"version":%q,"file":%q,"info_hash":%q}]}`, rep.Version, rep.File, rep.InfoHash)
	if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := b.open().Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(rep.Path); err != nil {
		t.Error(err)
	}
	if after, _ := os.ReadFile(path); strings.Contains(string(after), "begun") {
		t.Errorf("the journal still calls it begun: %s", after)
	}
	second := b.mustPublish()
	if tor := b.check(); tor.InfoHash != second.InfoHash || tor.Description.Previous != rep.InfoHash {
		t.Errorf("the history is broken: %s after %s", tor.InfoHash, tor.Description.Previous)
	}
	b.checkTidy(2)
}

func TestADamagedJournalIsSetAside(t *testing.T) {
	b := newBench(t)
	b.mustPublish()
	path := filepath.Join(b.cfg.DataDir, ".producer", salt, "journal.json")
	for _, content := range []string{"", "{", `{"format":1,"begun":[{"version":"../..","file":"x"}]}`} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		b.mustPublish()
		if got, err := os.ReadFile(path + ".corrupt"); err != nil || string(got) != content {
			t.Errorf("journal %q set aside: %q, %v", content, got, err)
		}
	}
	b.check()
}
