package publish_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

// retain removes what the plan lets go.
func (b *bench) retain() (publish.Retention, []snapshot.Version) {
	b.t.Helper()
	p := b.open()
	defer p.Close()
	plan, removed, err := p.Retain(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return plan, removed
}

// keeping is what a dry run plans from.
func (b *bench) keeping() publish.Keeping {
	return publish.Keeping{
		Channel: b.channel(), DataDir: b.cfg.DataDir, Store: b.store, Keep: b.cfg.Keep, Now: b.clock.Now(), Log: b.cfg.Log,
		Sources: []pointer.Source{bucket.PointerSource(b.public)},
	}
}

func TestADryRunPlansWhatIsDoneThen(t *testing.T) {
	b := newBench(t)
	b.cfg.Keep = 10
	for range 4 {
		b.mustPublish()
	}
	b.cfg.Keep = 2
	inBucket, onDisk := files(t, b.bucket), files(t, b.cfg.DataDir)
	p := b.open() // somebody publishes meanwhile
	plan, err := publish.PlanRetention(t.Context(), b.keeping())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(inBucket, files(t, b.bucket)) || !slices.Equal(onDisk, files(t, b.cfg.DataDir)) {
		t.Error("the plan changed something")
	}
	var leaving []snapshot.Version
	for _, v := range plan.Leaving() {
		leaving = append(leaving, v.Version)
		if v.Stored < 1000 || v.OnDisk < 1000 {
			t.Errorf("%s has %d bytes in the bucket and %d on disk", v.Version, v.Stored, v.OnDisk)
		}
	}
	if _, removed := b.retain(); len(removed) != 2 || !slices.Equal(leaving, removed) {
		t.Errorf("planned that %v go, removed were %v", leaving, removed)
	}
	b.check()
	b.checkTidy(2)
}

func TestForeignObjectsAreLeftAlone(t *testing.T) {
	b := newBench(t)
	b.cfg.Keep = 1
	first := b.mustPublish()
	foreign := []string{"chain/" + string(first.Version) + "/sub/notes.txt", "chain/README", "chain/old/x.zst", "segments/" + strings.Repeat("ab", 20) + "/0001"}
	for _, key := range foreign {
		path := filepath.Join(b.bucket, key)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	second := b.mustPublish()
	if !slices.Equal(second.Removed, []snapshot.Version{first.Version}) {
		t.Errorf("removed %v, want the first", second.Removed)
	}
	for _, key := range foreign {
		if _, err := os.Stat(filepath.Join(b.bucket, key)); err != nil {
			t.Error(err)
		}
	}
	plan, _ := b.retain()
	if want := slices.Sorted(slices.Values(foreign[:3])); !slices.Equal(plan.Foreign, want) {
		t.Errorf("foreign are %q, want %q", plan.Foreign, want)
	}
	if len(plan.Versions) != 1 {
		t.Errorf("the plan speaks of %+v", plan.Versions)
	}
}

func TestWhatAnOldPointerNamesStays(t *testing.T) {
	b := newBench(t)
	b.cfg.Keep = 1
	first := b.mustPublish()
	if b.net.lookups != 0 {
		t.Error("the DHT was asked though nothing would go")
	}
	rec, _, _ := b.pointer()
	b.net.held = []pointer.Record{rec}
	if second := b.mustPublish(); len(second.Removed) != 0 || b.net.lookups != 1 {
		t.Errorf("removed %v after %d lookups, want none after one", second.Removed, b.net.lookups)
	}
	plan, _ := b.retain()
	if why := plan.Versions[1].Why; plan.Versions[1].Version != first.Version || !strings.Contains(why, "the DHT still names it") {
		t.Errorf("the first stays because: %s", why)
	}
	b.clock.add(publish.DefaultTTL) // the old record expires, and nobody has renewed the new one
	if _, removed := b.retain(); !slices.Equal(removed, []snapshot.Version{first.Version}) {
		t.Errorf("removed %v, want the first, whose pointer has expired", removed)
	}
	b.check()
	b.checkTidy(1)
}

func TestWhatWasPromisedStays(t *testing.T) {
	b := newBench(t)
	b.cfg.Keep, b.cfg.Retain = 1, time.Hour
	first := b.mustPublish()
	b.clock.add(30 * time.Minute)
	second := b.mustPublish()
	if len(second.Removed) != 0 {
		t.Fatalf("removed %v within the hour", second.Removed)
	}
	b.clock.add(50 * time.Minute)
	if _, removed := b.retain(); len(removed) != 0 {
		t.Errorf("removed %v, 50 minutes after the next one", removed)
	}
	b.clock.add(11 * time.Minute)
	if _, removed := b.retain(); !slices.Equal(removed, []snapshot.Version{first.Version}) {
		t.Errorf("removed %v after the hour, want the first", removed)
	}
	b.checkTidy(1)
}

func TestARehearsalChangesNothing(t *testing.T) {
	b := newBench(t)
	b.cfg.Keep = 1
	first, err := b.publishAt(7, false)
	if err != nil {
		t.Fatal(err)
	}
	b.clock.add(time.Minute)
	src, err := publish.OpenSource(t.Context(), b.source)
	if err != nil {
		t.Fatal(err)
	}
	inBucket, onDisk := files(t, b.bucket), files(t, b.cfg.DataDir)
	r, err := publish.Rehearse(t.Context(), b.cfg, b.keeping(), publish.Request{Source: src, Height: 9})
	if err != nil {
		t.Fatal(err)
	}
	if r.After != first.InfoHash || r.File != first.File || r.Version.Height() != 9 || r.Version <= first.Version || !strings.HasSuffix(r.URL, r.File) {
		t.Errorf("rehearsal %+v", r)
	}
	if leaving := r.Retention.Leaving(); len(leaving) != 1 || leaving[0].Version != first.Version {
		t.Errorf("leaving %+v, want the first", leaving)
	}
	if _, err := publish.Rehearse(t.Context(), b.cfg, b.keeping(), publish.Request{Source: src, Height: 6}); err == nil {
		t.Error("a lower height passes")
	}
	if !slices.Equal(inBucket, files(t, b.bucket)) || !slices.Equal(onDisk, files(t, b.cfg.DataDir)) {
		t.Error("the rehearsal changed something")
	}
}
