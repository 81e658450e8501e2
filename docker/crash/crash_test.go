//go:build e2e && linux

package crash_test

import (
	"context"
	"errors"
	"os"
	"strconv"
	"testing"
	"time"
)

const (
	// defaultKills is few enough for every run of the end-to-end tests.
	defaultKills = 50
	// row is how many kills there are between two rests.
	row = 25
	// thorough is from how many kills on every step of a publication must have been hit.
	thorough = 200
	// strays is how many files too many there may be of each sort while things are under way.
	strays = 4
)

// TestKilledAgainAndAgain kills the programs of a swarm at work, and lets it come to rest now and then. See the package's comment.
func TestKilledAgainAndAgain(t *testing.T) {
	seed, kills := setting(t, "CRASH_SEED", uint64(time.Now().UnixNano()%1e9)), int(setting(t, "CRASH_KILLS", defaultKills))
	t.Logf("CRASH_SEED=%d CRASH_KILLS=%d", seed, kills)
	w, ctx := newWorld(t, seed)
	if err := w.run(ctx, seed, kills); err != nil {
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) { // what was seen first
			err = errors.Join(cause, err)
		}
		t.Errorf("%v\nCRASH_SEED=%d", err, seed)
	}
	w.report()
}

func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func (w *world) run(ctx context.Context, seed uint64, kills int) error {
	if err := w.warmUp(ctx, seed); err != nil {
		return err
	}
	began := time.Now()
	deck := newDeck(w, seed)
	for n := 1; n <= kills; n++ {
		c := deck.draw()
		if err := deck.play(ctx, c); err != nil {
			return err
		}
		if err := w.bounded(strays); err != nil {
			return err
		}
		if n%row != 0 && n != kills {
			continue
		}
		if err := w.settled(ctx); err != nil {
			return err
		}
		state, _ := w.source.state()
		w.t.Logf("%d kills after %s; the newest is state %d of the source", n, time.Since(began).Round(time.Second), state)
	}
	return w.judge(ctx, kills)
}

// warmUp starts everything and lets as many snapshots be published as are kept, and one more.
func (w *world) warmUp(ctx context.Context, seed uint64) error {
	if err := w.startAll(ctx); err != nil {
		return err
	}
	err := w.until(ctx, func(ctx context.Context) error {
		_, err := w.pointer(ctx)
		return err
	})
	if err != nil {
		return err
	}
	w.source.rest(true)
	defer w.source.rest(false)
	w.watchAll(ctx)
	w.readAll(ctx, w.nodes[len(w.nodes)-1], seed)
	const enough = 5
	for {
		if err := w.rest(ctx); err != nil {
			return err
		}
		if n, _ := w.source.state(); n >= enough {
			return w.undisturbed(ctx)
		}
		if err := w.source.next(); err != nil {
			return err
		}
	}
}

// settled waits until the swarm has come to rest, and looks at what the kills have left.
func (w *world) settled(ctx context.Context) error {
	w.source.rest(true)
	defer w.source.rest(false)
	if err := w.rest(ctx); err != nil {
		return err
	}
	if err := w.tidy(ctx); err != nil {
		return err
	}
	return w.forget(ctx)
}

// judge looks at the whole.
func (w *world) judge(ctx context.Context, kills int) error {
	for _, n := range w.nodes {
		if err := w.history.economy(n.name); err != nil {
			return err
		}
	}
	for _, where := range w.watched() { // an observer that sees nothing finds nothing
		if n := w.history.movements(where); n < 3 {
			w.t.Errorf("%s: %d pointers were seen, one after the other; want more", where, n)
		}
	}
	for _, step := range steps {
		if kills >= thorough && w.hit(producer, step.name) == 0 {
			w.t.Errorf("no kill hit the step %s", step.name)
		}
	}
	for _, what := range []string{"answers that were whole", "answers broken off", "downloads that were resumed until they were whole"} {
		if w.counted(what) == 0 && kills >= defaultKills {
			w.t.Errorf("there were no %s", what)
		}
	}
	return context.Cause(ctx)
}
