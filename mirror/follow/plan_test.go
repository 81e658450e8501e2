package follow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/snapshot"
)

// day0 is when the first version of these tests was published.
var day0 = time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)

func hashOf(n int) snapshot.InfoHash { return snapshot.InfoHash{0: byte(n >> 8), 1: byte(n), 19: 1} }

// of is version n, published on day n, 100 bytes long, with nothing here yet.
func of(n int, change ...func(*held)) held {
	h := held{infoHash: hashOf(n), version: snapshot.NewVersion(day0.AddDate(0, 0, n), 0), length: 100}
	for _, f := range change {
		f(&h)
	}
	return h
}

func part(percent int64) func(*held) { return func(h *held) { h.completed = percent } }
func running(h *held)                { h.running = true }
func stalled(h *held)                { h.running, h.stalled = true, true }
func complete(h *held)               { h.completed, h.complete = h.length, true }
func verified(h *held)               { complete(h); h.verified = true }
func ailing(h *held)                 { h.completed, h.ailing = h.length-5, true }
func broken(h *held)                 { complete(h); h.broken = true }
func extracted(h *held)              { verified(h); h.extracted = true }
func busy(h *held)                   { h.busy = true }
func withdrawn(h *held)              { h.withdrawn = true }
func promise(d time.Duration) func(*held) {
	return func(h *held) { h.retain = d }
}

func follows(n int) func(*held) { return func(h *held) { h.previous = hashOf(n) } }

func do(k kind, n int) action { return action{k, hashOf(n)} }

func TestPlan(t *testing.T) {
	const week = 7 * 24 * time.Hour
	one := policy{retain: 1}
	for _, tt := range []struct {
		name   string
		have   []held
		latest int
		policy policy
		want   []action
	}{
		{"nothing here: get the newest", nil, 1, one, []action{do(open, 1)}},
		{"no pointer known: nothing to do", []held{of(1, verified)}, -1, one, nil},
		{"no pointer known: what was complete is still verified", []held{of(1, complete)}, -1, one, []action{do(verify, 1)}},
		{"opened: download it", []held{of(1)}, 1, one, []action{do(start, 1)}},
		{"downloading: wait", []held{of(1, part(30), running)}, 1, one, nil},
		{"all pieces here: verify the whole", []held{of(1, complete)}, 1, one, []action{do(verify, 1)}},
		{"being verified: wait", []held{of(1, complete, busy)}, 1, one, nil},
		{"verified: rest", []held{of(1, verified)}, 1, one, nil},
		{"wrong as a whole: rest", []held{of(1, broken)}, 1, one, nil},
		{"renewed pointer, same info-hash: rest", []held{of(1, part(30), running), of(0, verified)}, 1, one, nil},

		{"newer one: get it, keep the old", []held{of(1, verified)}, 2, one, []action{do(open, 2)}},
		{"newer one on its way: the old stays", []held{of(1, verified), of(2, part(99), running)}, 2, policy{}, nil},
		{"newer one complete but not verified: the old stays", []held{of(1, verified), of(2, complete)}, 2, policy{}, []action{do(verify, 2)}},
		{"newer one wrong as a whole: the old stays", []held{of(1, verified), of(2, broken)}, 2, policy{}, nil},
		{"newer one verified, none retained: the old leaves", []held{of(1, verified), of(2, verified)}, 2, policy{}, []action{do(discard, 1)}},
		{"newer one verified, one retained: the old stays", []held{of(1, verified), of(2, verified)}, 2, one, nil},
		{
			"beyond the retained: oldest first",
			[]held{of(1, verified), of(2, verified), of(3, verified), of(4, verified)},
			4, one,
			[]action{do(discard, 1), do(discard, 2)},
		},
		{"an old one without its check counts as complete", []held{of(1, complete), of(2, verified)}, 2, one, []action{do(verify, 1)}},
		{"an old one that is wrong leaves", []held{of(1, broken), of(2, verified)}, 2, one, []action{do(discard, 1)}},
		{"an incomplete old one leaves", []held{of(1, part(40)), of(2, verified)}, 2, one, []action{do(discard, 1)}},
		{"an old one that lost a piece stays until it comes again", []held{of(1, ailing), of(2, verified)}, 2, one, nil},
		{
			"an old one that lost a piece costs no healthy one its place",
			[]held{of(1, verified), of(2, ailing), of(3, verified)},
			3, one, nil,
		},
		{
			"beyond the retained, what lost a piece leaves like others",
			[]held{of(1, ailing), of(2, verified), of(3, verified)},
			3, one,
			[]action{do(discard, 1)},
		},
		{"the newest that lost a piece is fetched, nothing older leaves", []held{of(1, verified), of(2, ailing)}, 2, policy{}, []action{do(start, 2)}},
		{"an old one that lost a piece is no download that was given up", []held{of(1, ailing), of(2, part(10)), of(3, running)}, 3, one, nil},
		{"the newest was withdrawn: go back, keep what there is", []held{of(2, verified, withdrawn)}, 1, policy{}, []action{do(open, 1)}},
		{"it was withdrawn on its way: it is not finished", []held{of(2, part(90), running, withdrawn)}, 1, one, []action{do(open, 1), do(stop, 2)}},
		{"it was withdrawn, and the one before is here", []held{of(1, verified), of(2, part(90), running, withdrawn)}, 1, one, []action{do(stop, 2), do(discard, 2)}},
		{
			"back on the one before: an old one stays rather than what was withdrawn",
			[]held{of(0, verified), of(1, verified), of(2, verified, withdrawn)},
			1, one,
			[]action{do(discard, 2)},
		},
		{"back on the one before: what was withdrawn stays where nothing else does", []held{of(1, verified), of(2, verified, withdrawn)}, 1, one, nil},
		{
			"it was withdrawn before the newest came: what the newest follows stays",
			[]held{of(1, verified), of(2, verified, follows(1)), of(3, verified, follows(1))},
			3, one,
			[]action{do(discard, 2)},
		},
		{
			"and as long as was promised from then on",
			[]held{of(1, verified, promise(3*24*time.Hour)), of(2, verified, follows(1)), of(3, verified, follows(1)), of(4, verified, follows(3))},
			4,
			policy{retain: 1, promised: true, free: 900},
			[]action{do(discard, 2)},
		},
		{
			"the one before is unpacked again",
			[]held{of(1, verified), of(2, extracted, withdrawn)},
			1,
			policy{retain: 1, extract: true},
			[]action{do(extract, 1)},
		},

		{"what is being unpacked does not leave", []held{of(1, verified, busy), of(2, verified)}, 2, policy{}, nil},

		{"promised and room: stays", []held{of(1, verified, promise(week)), of(2, verified)}, 2, policy{promised: true, free: 200}, nil},
		{"promised, but the operator said how many: leaves", []held{of(1, verified, promise(week)), of(2, verified)}, 2, policy{free: 900}, []action{do(discard, 1)}},
		{"promised but no room: leaves", []held{of(1, verified, promise(week)), of(2, verified)}, 2, policy{promised: true, free: 199}, []action{do(discard, 1)}},
		{
			"promised, room for one of two: the older leaves",
			[]held{of(1, verified, promise(week)), of(2, verified, promise(week)), of(3, verified)},
			3,
			policy{promised: true, free: 150},
			[]action{do(discard, 1)},
		},
		{"promise is over: leaves", []held{of(1, verified, promise(time.Hour)), of(2, verified)}, 2, policy{promised: true, free: 900}, []action{do(discard, 1)}},

		{"little of the old is here: switch", []held{of(1, part(49), running)}, 2, one, []action{do(open, 2), do(stop, 1)}},
		{"half of the old is here: finish it", []held{of(1, part(50), running)}, 2, one, nil},
		{"half of the old is here after a restart: finish it", []held{of(1, part(50))}, 2, one, []action{do(start, 1)}},
		{"half of the old is here but stalled: switch", []held{of(1, part(50), stalled)}, 2, one, []action{do(open, 2), do(stop, 1)}},
		{"half of the old is here, one shot: switch", []held{of(1, part(50))}, 2, policy{newestOnly: true}, []action{do(open, 2)}},
		{"one was given up already: finish the second", []held{of(1, part(10)), of(2, part(20), running)}, 3, one, nil},
		{"switched: never back", []held{of(1, part(60)), of(2, part(1), running)}, 2, one, nil},
		{"finished the old one: now the newest", []held{of(1, verified)}, 2, one, []action{do(open, 2)}},
		{
			"two stalled ones: only one is kept",
			[]held{of(1, part(10)), of(2, part(20), stalled)},
			3, one,
			[]action{do(open, 3), do(stop, 2), do(discard, 1)},
		},

		{"withdrawn: back to the older, keep the newer till then", []held{of(1, part(10)), of(2, verified)}, 1, policy{}, []action{do(start, 1)}},
		{"withdrawn and back: the newer leaves", []held{of(1, verified), of(2, verified)}, 1, policy{}, []action{do(discard, 2)}},

		{"unpack what was verified", []held{of(1, verified)}, 1, policy{extract: true}, []action{do(extract, 1)}},
		{"unpacked: rest", []held{of(1, extracted)}, 1, policy{extract: true}, nil},
		{"do not unpack what is not verified", []held{of(1, complete)}, 1, policy{extract: true}, []action{do(verify, 1)}},
		{
			"unpack an older one while the newest is on its way",
			[]held{of(1, verified), of(2, part(3), running)},
			2,
			policy{extract: true},
			[]action{do(extract, 1)},
		},
		{"do not unpack old ones again", []held{of(0, verified), of(1, extracted), of(2, part(3), running)}, 2, policy{extract: true, retain: 2}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			latest := hashOf(tt.latest)
			if tt.latest < 0 {
				latest = snapshot.InfoHash{}
			}
			got := plan(tt.have, latest, day0.AddDate(0, 0, 5), tt.policy)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(action{})); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// world is a model of one channel's disk, on which plan's actions are done one at a time.
type world struct {
	have   []held
	latest snapshot.InfoHash
	now    time.Time
	policy policy
	count  int // versions published
}

// step does one action and reports what rule it broke.
func (w *world) step(a action) error {
	i := find(w.have, a.infoHash)
	if a.kind == open {
		if i >= 0 {
			return fmt.Errorf("opens %s twice", a.infoHash)
		}
		w.have = append(w.have, of(w.number(a.infoHash), promise(w.promise(a.infoHash))))
		return nil
	}
	if i < 0 {
		return fmt.Errorf("%s of something that is not here", a.kind)
	}
	h := &w.have[i]
	switch a.kind {
	case start:
		h.running, h.stalled = true, false
	case stop:
		h.running = false
	case verify:
		h.verified, h.broken = h.infoHash[1]%13 != 0, h.infoHash[1]%13 == 0
	case extract:
		if !h.verified {
			return fmt.Errorf("unpacks %s, which is not verified", h.version)
		}
		h.extracted = true
	case discard:
		return w.discard(i)
	}
	return nil
}

func (w *world) number(ih snapshot.InfoHash) int { return int(ih[0])<<8 | int(ih[1]) }

func (w *world) promise(ih snapshot.InfoHash) time.Duration {
	return time.Duration(ih[1]%4) * 36 * time.Hour
}

func (w *world) discard(i int) error {
	h, l := w.have[i], find(w.have, w.latest)
	switch {
	case h.infoHash == w.latest:
		return fmt.Errorf("discards %s, the newest", h.version)
	case h.usable() && (l < 0 || !w.have[l].verified):
		return fmt.Errorf("discards %s, complete, while the newest is not verified", h.version)
	case h.running:
		return fmt.Errorf("discards %s while it is being downloaded", h.version)
	case h.busy:
		return fmt.Errorf("discards %s while it is being read", h.version)
	case h.stays() && w.retained(h) < w.policy.retain:
		return fmt.Errorf("discards %s, although only %d of %d newer ones are kept", h.version, w.retained(h), w.policy.retain)
	case h.usable() && !w.policy.promised && w.older(h):
		return fmt.Errorf("discards %s before what is older", h.version)
	}
	w.have = slices.Delete(w.have, i, i+1)
	return nil
}

// retained is how many versions newer than h there are beside the newest that are worth as much.
func (w *world) retained(h held) (n int) {
	for _, o := range w.have {
		if (o.verified || !h.verified && o.stays()) && o.infoHash != w.latest && o.version > h.version {
			n++
		}
	}
	return n
}

// older reports whether a usable version older than h is here that could leave.
func (w *world) older(h held) bool {
	return slices.ContainsFunc(w.have, func(o held) bool {
		return o.usable() && !o.busy && o.infoHash != w.latest && o.version < h.version
	})
}

// settle does what plan says until it says nothing.
func (w *world) settle() error {
	for range 100 {
		actions := plan(w.have, w.latest, w.now, w.policy)
		if len(actions) == 0 {
			return w.check()
		}
		for _, a := range actions {
			if err := w.step(a); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("never rests: %v", plan(w.have, w.latest, w.now, w.policy))
}

// check is what must hold whenever plan rests.
func (w *world) check() error {
	active, given := 0, 0
	for _, h := range w.have {
		if h.running && !h.complete {
			active++
		} else if !h.complete && !h.ailing {
			given++
		}
	}
	if active > 1 || given > 1 {
		return fmt.Errorf("%d downloads at once, %d given up and kept", active, given)
	}
	return nil
}

// happen lets a random thing happen.
func (w *world) happen(r *rand.Rand) {
	w.now = w.now.Add(time.Duration(r.IntN(24)) * time.Hour)
	w.policy.free = int64(r.IntN(400))
	switch r.IntN(10) {
	case 8:
		w.rot(r)
	case 9:
		w.mend()
	case 0, 1:
		w.count++
		w.latest = hashOf(w.count)
	case 2:
		w.latest = hashOf(1 + r.IntN(w.count)) // withdrawn, back to an older one
	case 3:
		for i := range w.have { // a restart
			w.have[i].running, w.have[i].stalled = false, false
		}
	default:
		w.progress(r)
	}
}

// rot lets a complete version lose pieces.
func (w *world) rot(r *rand.Rand) {
	for i := range w.have {
		if h := &w.have[i]; h.complete && r.IntN(2) == 0 {
			h.complete, h.verified, h.broken = false, false, false
			ailing(h)
		}
	}
}

// mend lets all come again.
func (w *world) mend() {
	for i := range w.have {
		if h := &w.have[i]; h.ailing {
			h.completed, h.complete, h.ailing, h.running, h.stalled = h.length, true, false, false, false
		}
	}
}

func (w *world) progress(r *rand.Rand) {
	for i := range w.have {
		h := &w.have[i]
		if !h.running || h.complete {
			continue
		}
		if h.stalled = r.IntN(6) == 0; h.stalled {
			continue
		}
		h.completed = min(h.length, h.completed+int64(r.IntN(60)))
		if h.complete = h.completed == h.length; h.complete {
			h.running, h.ailing = false, false
		}
	}
}

func TestPlanKeepsItsPromises(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := &world{
			now: day0, latest: hashOf(1), count: 1,
			policy: policy{retain: r.IntN(3), promised: r.IntN(2) == 0, extract: r.IntN(2) == 0, newestOnly: r.IntN(4) == 0},
		}
		for range 60 {
			if err := w.settle(); err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			w.happen(r)
		}
		w.finish(t, seed)
	}
}

// finish publishes a last good version, lets its download run, and expects it here and no more than may stay.
func (w *world) finish(t *testing.T, seed uint64) {
	t.Helper()
	for w.count++; w.count%13 == 0; w.count++ {
	}
	w.latest, w.policy.free = hashOf(w.count), 0
	for range 20 {
		w.mend()
		if err := w.settle(); err != nil {
			t.Fatalf("seed %d, at the end: %v", seed, err)
		}
		for i := range w.have {
			if h := &w.have[i]; h.running {
				h.completed, h.complete, h.running, h.stalled = h.length, true, false, false
			}
		}
	}
	if l := find(w.have, w.latest); l < 0 || !w.have[l].verified {
		t.Errorf("seed %d: the newest never became complete: %+v", seed, w.have)
	}
	if len(w.have) > 1+w.policy.retain {
		t.Errorf("seed %d: %d versions stay, want at most %d", seed, len(w.have), 1+w.policy.retain)
	}
}
