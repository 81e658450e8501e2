package publish

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/snapshot"
)

// day0 is when the first version of these tests was published.
var day0 = time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)

func hashOf(n int) snapshot.InfoHash { return snapshot.InfoHash{0: byte(n), 19: 1} }

func versionOf(n int) snapshot.Version { return snapshot.NewVersion(day0.AddDate(0, 0, n), 0) }

// version n was published on day n after version previous; 0 means that it was the first.
func version(n, previous int, change ...func(*holding)) holding {
	h := holding{version: versionOf(n), infoHash: hashOf(n), modified: versionOf(n).Time(), objects: []string{fmt.Sprint("object of ", n)}}
	if previous > 0 {
		h.previous = hashOf(previous)
	}
	for _, f := range change {
		f(&h)
	}
	return h
}

func halfUploaded(h *holding) {
	h.state, h.infoHash, h.previous = uploading, snapshot.InfoHash{}, snapshot.InfoHash{}
}
func halfRemoved(h *holding) { h.state = remnant }
func damaged(h *holding)     { h.infoHash, h.previous = snapshot.InfoHash{}, snapshot.InfoHash{} }
func promise(d time.Duration) func(*holding) {
	return func(h *holding) { h.promise = d }
}

func TestRetentionPlan(t *testing.T) {
	const day = 24 * time.Hour
	days := func(n int) time.Time { return day0.AddDate(0, 0, n).Add(time.Hour) }
	four := []holding{version(1, 0), version(2, 1), version(3, 2), version(4, 3)}
	for name, tt := range map[string]struct {
		stock
		keep int
		now  time.Time
		want []string // newest first, + stays, - goes
	}{
		"the newest ones stay": {
			stock{newest: hashOf(4), held: four},
			2, days(4),
			[]string{"+4 the pointer names it", "+3 one of the newest 2", "-2 beyond the newest 2", "-1 beyond the newest 2"},
		},
		"fewer than may stay": {stock{newest: hashOf(2), held: four[:2]}, 7, days(4), []string{"+2 the pointer names it", "+1 one of the newest 7"}},
		"without a pointer nothing goes": {
			stock{held: four[:2]},
			1, days(4),
			[]string{"+2 nothing goes while", "+1 nothing goes while"},
		},
		"a pointer to something that is not here lets nothing go": {
			stock{newest: hashOf(9), held: four[:2]},
			1, days(4),
			[]string{"+2 nothing goes while", "+1 nothing goes while"},
		},
		"an old pointer somewhere still names one": {
			stock{newest: hashOf(4), held: four, named: map[snapshot.InfoHash]string{hashOf(1): "the DHT", hashOf(4): "the bucket"}},
			1, days(4),
			[]string{"+4 the pointer names it", "-3 beyond", "-2 beyond", "+1 a pointer in the DHT still names it"},
		},
		"what was promised stays, counted from the next version": {
			stock{newest: hashOf(4), held: []holding{version(1, 0, promise(2*day)), version(2, 1, promise(day+2*time.Hour)), version(3, 2, promise(day)), version(4, 3)}},
			1, days(4),
			[]string{"+4 the pointer", "+3 promised until 2026-11-25T06:00:00Z", "+2 promised until 2026-11-24T08:00:00Z", "-1 beyond the newest 1"},
		},
		"a withdrawn one is newer than the pointer's": {
			stock{newest: hashOf(2), held: four},
			1, days(4),
			[]string{"+4 newer than what the pointer names", "+3 newer than what the pointer names", "+2 the pointer names it", "-1 beyond"},
		},
		"a withdrawn one takes nobody's place, and goes with its neighbours": {
			stock{newest: hashOf(4), held: []holding{version(1, 0), version(2, 1), version(3, 2), version(4, 2)}},
			2, days(4),
			[]string{"+4 the pointer names it", "+3 withdrawn; goes when", "+2 one of the newest 2", "-1 beyond the newest 2"},
		},
		"a withdrawn one below all that stay goes": {
			stock{newest: hashOf(4), held: []holding{version(1, 0), version(2, 1), version(3, 1), version(4, 3)}},
			2, days(4),
			[]string{"+4 the pointer names it", "+3 one of the newest 2", "-2 withdrawn", "-1 beyond the newest 2"},
		},
		"a withdrawn one that was promised stays": {
			stock{newest: hashOf(4), held: []holding{version(1, 0), version(2, 1, promise(9*day)), version(3, 1), version(4, 3)}},
			2, days(4),
			[]string{"+4 the pointer names it", "+3 one of the newest 2", "+2 promised until 2026-12-02", "-1 beyond the newest 2"},
		},
		"before the end of the chain, all count": {
			stock{newest: hashOf(4), held: []holding{version(1, 0), version(3, 2), version(4, 3)}},
			3, days(4),
			[]string{"+4 the pointer names it", "+3 one of the newest 3", "+1 one of the newest 3"},
		},
		"a damaged torrent changes nothing for its version": {
			stock{newest: hashOf(4), held: []holding{version(1, 0), version(2, 1), version(3, 2, damaged), version(4, 3)}},
			2, days(4),
			[]string{"+4 the pointer names it", "+3 one of the newest 2", "-2 beyond", "-1 beyond"},
		},
		"what was begun here stays, and does not count": {
			stock{newest: hashOf(4), held: []holding{version(1, 0), version(2, 1), version(3, 2, halfUploaded), version(4, 2)}, begun: []snapshot.Version{versionOf(3)}},
			2, days(30),
			[]string{"+4 the pointer names it", "+3 begun here", "+2 one of the newest 2", "-1 beyond the newest 2"},
		},
		"an upload that nobody knows of stays for a day": {
			stock{newest: hashOf(4), held: []holding{version(2, 1), version(3, 2, halfUploaded), version(4, 2)}},
			2, days(3),
			[]string{"+4 the pointer names it", "+3 has no torrent yet", "+2 one of the newest 2"},
		},
		"and no longer": {
			stock{newest: hashOf(4), held: []holding{version(2, 1), version(3, 2, halfUploaded), version(4, 2)}},
			2, days(4),
			[]string{"+4 the pointer names it", "-3 incomplete", "+2 one of the newest 2"},
		},
		"an interrupted removal goes on": {
			stock{newest: hashOf(4), held: []holding{version(2, 1), version(3, 2, halfRemoved), version(4, 3)}},
			3, days(3),
			[]string{"+4 the pointer names it", "-3 incomplete", "+2 one of the newest 3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			plan := tt.plan(tt.keep, tt.now)
			var got []string
			for i, v := range plan.Versions {
				sign := map[bool]string{true: "+", false: "-"}[v.Kept]
				line := fmt.Sprintf("%s%d %s", sign, v.Version.Time().Sub(day0)/day, v.Why)
				if i < len(tt.want) && strings.HasPrefix(line, tt.want[i]) {
					line = tt.want[i]
				}
				got = append(got, line)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// randomStock is one that may have grown in any way, also in ways that cannot happen. Nothing was withdrawn in a straight one.
func randomStock(r *rand.Rand, straight bool) (s stock, keep int, now time.Time) {
	n := 1 + r.IntN(9)
	for i := 1; i <= n; i++ {
		if r.IntN(6) == 0 {
			continue // removed by somebody
		}
		h := version(i, i-1)
		if !straight {
			h = version(i, max(0, i-1-r.IntN(2)*r.IntN(3)))
		}
		switch r.IntN(8) {
		case 0:
			halfUploaded(&h)
		case 1:
			halfRemoved(&h)
		case 2:
			damaged(&h)
		case 3, 4:
			h.promise = time.Duration(r.IntN(100)) * time.Hour
		}
		if r.IntN(8) == 0 {
			s.begun = append(s.begun, h.version)
		}
		s.held = append(s.held, h)
	}
	s.newest = hashOf(n - r.IntN(2)*r.IntN(n+1)) // mostly the last one, 0 is never held
	s.named = map[snapshot.InfoHash]string{s.newest: "the bucket"}
	if r.IntN(3) == 0 {
		s.named[hashOf(1+r.IntN(n))] = "the DHT"
	}
	return s, 1 + r.IntN(5), day0.AddDate(0, 0, n-1).Add(time.Duration(r.IntN(72)) * time.Hour)
}

// TestWhateverIsStored checks what must hold of every plan, on stocks of all sorts.
func TestWhateverIsStored(t *testing.T) {
	removed := 0
	for seed := range uint64(20_000) {
		r := rand.New(rand.NewPCG(seed, 0))
		straight := seed%2 == 0
		s, keep, now := randomStock(r, straight)
		plan := s.plan(keep, now)
		removed += len(plan.Leaving())
		for _, fault := range faultsOf(s, keep, now, plan) {
			t.Errorf("seed %d: %s\nkeep %d at %s, newest %s, named %v, begun %v\nheld %+v\nplan %+v",
				seed, fault, keep, now, s.newest, s.named, s.begun, s.held, plan.Versions)
		}
		shuffled := s
		shuffled.held = slices.Clone(s.held)
		r.Shuffle(len(s.held), func(i, j int) { shuffled.held[i], shuffled.held[j] = shuffled.held[j], shuffled.held[i] })
		if diff := cmp.Diff(plan, shuffled.plan(keep, now), cmp.AllowUnexported(Retained{})); diff != "" {
			t.Errorf("seed %d: the order matters:\n%s", seed, diff)
		}
		if again := s.without(plan).plan(keep, now).Leaving(); len(again) > 0 && straight {
			t.Errorf("seed %d: carried out, the plan lets more go: %+v after %+v", seed, again, plan.Versions)
		}
		if t.Failed() {
			return
		}
	}
	if removed < 1000 {
		t.Errorf("only %d versions went: this shows nothing", removed)
	}
}

// faultsOf checks a plan by rules that are stated apart from the code that made it.
func faultsOf(s stock, keep int, now time.Time, plan Retention) (faults []string) {
	byVersion := make(map[snapshot.Version]holding)
	var current snapshot.Version
	for _, h := range s.held {
		byVersion[h.version] = h
		if h.infoHash == s.newest && !s.newest.IsZero() {
			current = h.version
		}
	}
	if len(plan.Versions) != len(s.held) {
		faults = append(faults, "it does not speak of each version once")
	}
	whole := 0 // that are kept, up to the current one
	for _, v := range plan.Versions {
		h := byVersion[v.Version]
		if v.Kept && h.state == 0 && v.Version <= current && !slices.Contains(s.begun, v.Version) {
			whole++
		}
		if v.Why == "" {
			faults = append(faults, "no reason for "+string(v.Version))
		}
		if v.Kept {
			continue
		}
		switch {
		case current == "":
			faults = append(faults, "something goes though nobody knows what the pointer names")
		case v.Version >= current:
			faults = append(faults, "what the pointer names, or something newer, goes")
		case !h.infoHash.IsZero() && s.named[h.infoHash] != "":
			faults = append(faults, "a version goes that an unexpired pointer names")
		case slices.Contains(s.begun, v.Version):
			faults = append(faults, "a running upload goes")
		case h.state == uploading && now.Sub(h.modified) < uploadGrace:
			faults = append(faults, "what may be a running upload goes")
		case h.state == 0 && now.Before(h.version.Time().Add(h.promise)):
			faults = append(faults, "a promised version goes")
		}
	}
	for _, v := range plan.Leaving() { // whole ones go only when enough stay
		if h := byVersion[v.Version]; h.state == 0 && whole < keep {
			faults = append(faults, fmt.Sprintf("%s goes, though only %d whole ones stay", v.Version, whole))
		}
	}
	return faults
}

// without is what is left when the plan was carried out.
func (s stock) without(plan Retention) stock {
	for _, gone := range plan.Leaving() {
		s.held = slices.DeleteFunc(slices.Clone(s.held), func(h holding) bool { return h.version == gone.Version })
	}
	return s
}
