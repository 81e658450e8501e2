package catalog_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/gateway/catalog"
)

func TestNewestHolding(t *testing.T) {
	t.Parallel()
	a, b, c := holding(t, "20000101T000000Z", 4, 0), holding(t, "20000102T000000Z", 4, 0), holding(t, "20000103T000000Z", 4, 0)
	held := []catalog.Holding{b, a}
	for name, tt := range map[string]struct {
		pointed  snapshot.InfoHash
		before   snapshot.Version
		holdings []catalog.Holding
		want     snapshot.Version
	}{
		"the pointer's, though it is older":     {a.Torrent.InfoHash, b.Version, held, a.Version},
		"what it was, while it is not here yet": {c.Torrent.InfoHash, a.Version, held, a.Version},
		"the newest, when what it was is gone":  {c.Torrent.InfoHash, c.Version, held, b.Version},
		"the newest on disk at first":           {snapshot.InfoHash{}, "", held, b.Version},
		"none":                                  {a.Torrent.InfoHash, a.Version, nil, ""},
	} {
		if got := catalog.NewestHolding(pointer.Pointer{InfoHash: tt.pointed}, tt.before, tt.holdings); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func TestOutdated(t *testing.T) {
	t.Parallel()
	const v1, v2, v3 = snapshot.Version("20000101T000000Z"), snapshot.Version("20000110T000000Z"), snapshot.Version("20000120T000000Z")
	week := 7 * 24 * time.Hour
	good := holding(t, v1, 4, 0)
	for name, tt := range map[string]struct {
		holdings []catalog.Holding
		latest   snapshot.Version
		now      time.Time
		want     []snapshot.Version
	}{
		"within retain of the next one": {
			[]catalog.Holding{holding(t, v2, 4, week), holding(t, v1, 4, week)}, v2, day(16), nil,
		},
		"after retain": {
			[]catalog.Holding{holding(t, v2, 4, week), holding(t, v1, 4, week)}, v2, day(18), []snapshot.Version{v1},
		},
		"nothing signed is a day": {
			[]catalog.Holding{holding(t, v2, 4, 0), holding(t, v1, 4, 0)}, v2, day(10).Add(23 * time.Hour), nil,
		},
		"nothing signed, after a day": {
			[]catalog.Holding{holding(t, v2, 4, 0), holding(t, v1, 4, 0)}, v2, day(11).Add(time.Second), []snapshot.Version{v1},
		},
		"not before the next one is complete": {
			[]catalog.Holding{holding(t, v2, 3, week), holding(t, v1, 4, week)}, v2, day(30), nil,
		},
		"but the one before that, and what is incomplete": {
			[]catalog.Holding{holding(t, v3, 3, 0), holding(t, v2, 4, 0), holding(t, v1, 4, 0), holding(t, "19990101T000000Z", 1, 0)},
			v3, day(30),
			[]snapshot.Version{v1, "19990101T000000Z"},
		},
		"an incomplete old one, though latest is not complete either": {
			[]catalog.Holding{holding(t, v2, 3, 0), holding(t, v1, 2, 0)}, v2, day(30), []snapshot.Version{v1},
		},
		"latest never, also when it is the oldest": {
			[]catalog.Holding{holding(t, v2, 4, 0), holding(t, v1, 4, 0)}, v1, day(30), []snapshot.Version{v2},
		},
		"what the publisher went back to counts from the one that came then": {
			[]catalog.Holding{after(t, good, v3, 4, 0), after(t, good, v2, 4, 0), good}, v3, day(20).Add(23 * time.Hour), nil,
		},
		"and leaves with what was withdrawn": {
			[]catalog.Holding{after(t, good, v3, 4, 0), after(t, good, v2, 4, 0), good}, v3, day(21).Add(time.Second), []snapshot.Version{v2, v1},
		},
		"the one that was withdrawn stays for its retain": {
			[]catalog.Holding{holding(t, v2, 4, week), holding(t, v1, 4, 0)}, v1, day(16), nil,
		},
		"the only one": {[]catalog.Holding{holding(t, v1, 4, 0)}, v1, day(30), nil},
		"none":         {nil, "", day(30), nil},
	} {
		var got []snapshot.Version
		for _, h := range catalog.Outdated(tt.holdings, tt.latest, tt.now) {
			got = append(got, h.Version)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPollsAreNeverLate(t *testing.T) {
	t.Parallel()
	for r, want := range map[float64]time.Duration{0: 80 * time.Second, 0.5: 90 * time.Second, 1: 100 * time.Second} {
		if got := catalog.Sooner(100*time.Second, r); got.Round(time.Second) != want {
			t.Errorf("sooner(100 s, %v) = %s, want %s", r, got, want)
		}
	}
}

func TestJittered(t *testing.T) {
	t.Parallel()
	for r, want := range map[float64]time.Duration{0: 80 * time.Second, 0.5: 100 * time.Second, 1: 120 * time.Second} {
		if got := catalog.Jittered(100*time.Second, r); got.Round(time.Second) != want {
			t.Errorf("jittered(100 s, %v) = %s, want %s", r, got, want)
		}
	}
}
