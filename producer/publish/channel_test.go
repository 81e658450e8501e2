package publish_test

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/producer/publish"
)

func TestOnePublisherPerChannel(t *testing.T) {
	b := newBench(t)
	first := b.open()
	_, err := publish.New(b.cfg)
	var held *publish.HeldError
	if !errors.As(err, &held) || !errors.Is(err, publish.ErrHeld) {
		t.Fatalf("a second publisher: %v, want %v", err, publish.ErrHeld)
	}
	if held.Holder.PID != os.Getpid() || time.Since(held.Holder.Since) > time.Minute || held.Holder.Host == "" {
		t.Errorf("holder = %+v, want this process", held.Holder)
	}
	if h, ok, err := publish.HolderOf(b.cfg.DataDir, salt); !ok || err != nil || h != held.Holder {
		t.Errorf("HolderOf = %+v, %v, %v", h, ok, err)
	}
	other := b.cfg
	other.Salt = "another"
	p, err := publish.New(other)
	if err != nil {
		t.Fatalf("another channel in the same directory: %v", err)
	}
	if err := errors.Join(p.Close(), first.Close()); err != nil {
		t.Fatal(err)
	}
	if _, ok, err := publish.HolderOf(b.cfg.DataDir, salt); ok || err != nil {
		t.Errorf("after Close the channel is held: %v, %v", ok, err)
	}
	if err := b.open().Close(); err != nil {
		t.Error(err)
	}
}

func TestTheBucketOfAnotherKeyIsLeftAlone(t *testing.T) {
	b := newBench(t)
	b.mustPublish()
	before, _, _ := b.pointer()
	ours := b.cfg.Key
	_, b.cfg.Key, _ = ed25519.GenerateKey(nil)
	b.cfg.DataDir, b.cfg.Network = t.TempDir(), nil
	if _, err := b.publish(); !errors.Is(err, publish.ErrForeignPointer) {
		t.Errorf("publish = %v, want %v", err, publish.ErrForeignPointer)
	}
	b.cfg.Key = ours
	if after, _, _ := b.pointer(); !after.Equal(before) {
		t.Error("the pointer moved")
	}
}

func TestADamagedPointerIsMended(t *testing.T) {
	b := newBench(t)
	first := b.mustPublish()
	path := filepath.Join(b.bucket, bucket.PointerKey(salt))
	for _, content := range []string{"", "garbage", strings.Repeat("x", 5000)} {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if rep := b.mustPublish(); rep.Seq <= first.Seq {
			t.Errorf("seq %d after %d", rep.Seq, first.Seq)
		}
		b.check()
	}
}

func TestOldVersionsGo(t *testing.T) {
	b := newBench(t)
	b.cfg.Keep = 3
	var all []publish.Report
	for range 5 {
		all = append(all, b.mustPublish())
	}
	b.checkTidy(3)
	for i, rep := range all {
		_, err := os.Stat(filepath.Join(b.bucket, bucket.InfoHashKey(rep.InfoHash)))
		if gone := errors.Is(err, os.ErrNotExist); gone != (i < 2) {
			t.Errorf("version %d gone: %v", i, gone)
		}
	}
	if len(b.net.dropped) != 2 || b.net.dropped[0] != all[0].Version || b.net.dropped[1] != all[1].Version {
		t.Errorf("dropped %v, want the two oldest", b.net.dropped)
	}
	if got := all[4].Removed; len(got) != 1 || got[0] != all[1].Version {
		t.Errorf("the last publication removed %v", got)
	}
}

func TestARenewalKeepsTheSnapshot(t *testing.T) {
	b := newBench(t)
	p := b.open()
	if _, err := p.Renew(t.Context()); !errors.Is(err, publish.ErrNothingPublished) {
		t.Errorf("renew before anything is published: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	b.mustPublish()
	oldRec, old, _ := b.pointer()
	b.clock.add(30 * time.Hour)
	p = b.open()
	defer p.Close()
	rec, err := p.Renew(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	newRec, renewed, _ := b.pointer()
	if !newRec.Equal(rec) || rec.Seq <= oldRec.Seq {
		t.Errorf("seq %d in the bucket, %d renewed, %d before", newRec.Seq, rec.Seq, oldRec.Seq)
	}
	if renewed.InfoHash != old.InfoHash || !renewed.Created.Equal(old.Created) || *renewed.InfoSHA256 != *old.InfoSHA256 {
		t.Errorf("renewed %+v, before %+v: want the same snapshot and creation", renewed, old)
	}
	if d := renewed.Expires.Sub(old.Expires); d < 30*time.Hour {
		t.Errorf("expiry moved by %v", d)
	}
	if n := len(b.net.announced); n != 2 || !b.net.announced[1].Equal(rec) {
		t.Errorf("%d records announced", n)
	}
}

func TestPieceLengths(t *testing.T) {
	for n, ok := range map[int64]bool{0: true, 256 << 10: true, 32 << 20: true, 128 << 10: false, 64 << 20: false, 3 << 20: false, -1: false} {
		if err := publish.CheckPieceLength(n); (err == nil) != ok {
			t.Errorf("CheckPieceLength(%d) = %v", n, err)
		}
	}
	b := newBench(t)
	b.cfg.PieceLength = 512 << 10
	b.mustPublish()
	if got := b.check().PieceLength; got != 512<<10 {
		t.Errorf("piece length %d", got)
	}
}
