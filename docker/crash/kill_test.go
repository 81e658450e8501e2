//go:build e2e && linux

package crash_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// card is one kill: who, when, and how long they stay dead.
type card struct {
	victims []*node
	event   string        // of the first victim; "" for an instant that is random in time
	delay   time.Duration // from the event, or from now
	dead    time.Duration
}

// steps are those of a publication, in their order, each with an event in the middle of it. Every one is to be hit.
var steps = []struct{ name, event string }{ //nolint:gochecknoglobals // a table
	{"resolve", "resolve: before GET pointer"},
	{"reserve", "reserve: before GET bucket"},
	{"pack", "step begins pack"},
	{"upload", "upload: in PUT archive"},
	{"probe", "probe: after read archive"},
	{"announce", "announce: before PUT pointer"},
	{"retain", "retain: before DELETE archive"},
}

// moments are other events that a node may be killed at: requests to the storage before they are passed on, in the middle of their
// body, and when the storage has done what was asked but has not said so; what the log and the peers tell.
var moments = map[string][]string{ //nolint:gochecknoglobals // a table
	producer: {
		"before PUT archive", "after PUT archive", "before PUT part", "in PUT part", "after PUT part", "after POST uploads",
		"before POST upload", "after POST upload", "before PUT torrent", "after PUT torrent", "after PUT torrent by hash",
		"after PUT pointer", "after DELETE archive", "after DELETE torrent by hash", "after DELETE torrent",
		"serving", "snapshot published", "old version removed", "step begins announce", "step begins retain",
	},
	mirror: {
		"a block", "a piece", "a piece", "download begins", "snapshot complete and verified", "old version removed", "following", "pointer found",
		"in read archive", "after read archive", "after read torrent by hash",
	},
	gateway: {
		"a block", "a piece", "an answer", "an answer", "new snapshot", "snapshot is complete", "serving", "in read archive",
	},
}

// starting are the events that only a node that starts tells of.
var starting = map[string]bool{"serving": true, "following": true} //nolint:gochecknoglobals // a table

// deck chooses the kills. The same seed gives the same cards.
type deck struct {
	*world
	rng  *rand.Rand
	left map[string][]string // moments not used yet, by role
}

func newDeck(w *world, seed uint64) *deck {
	return &deck{world: w, rng: rand.New(rand.NewPCG(seed, seed)), left: make(map[string][]string)}
}

// draw takes a card: the producer and the mirrors twice as often as the gateway, two nodes at once now and then, most at events.
func (d *deck) draw() card {
	order := []int{0, 0, 0, 0, 1, 1, 2, 2, 3, 3}
	first := order[d.rng.IntN(len(order))]
	c := card{victims: []*node{d.nodes[first]}, dead: time.Duration(d.rng.IntN(300)) * time.Millisecond}
	if second := d.rng.IntN(8 * len(d.nodes)); second < len(d.nodes) && second != first {
		c.victims = append(c.victims, d.nodes[second])
	}
	if d.rng.IntN(3) == 0 {
		c.delay = time.Duration(d.rng.IntN(1500)) * time.Millisecond
		return c
	}
	c.event = d.moment(c.victims[0].role)
	if c.victims[0].role == mirror && strings.HasSuffix(c.event, "read archive") {
		c.victims[0] = d.node(greedy)
	}
	if d.rng.IntN(3) == 0 {
		c.delay = time.Duration(d.rng.IntN(30)) * time.Millisecond
	}
	return c
}

// moment takes one of a role's events, each before any comes again.
func (d *deck) moment(role string) string {
	if len(d.left[role]) == 0 {
		all := append([]string(nil), moments[role]...)
		d.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if role == producer { // steps and requests in turn
			for i, at := range d.rng.Perm(len(steps)) {
				all = slices.Insert(all, 2*i, steps[at].event)
			}
		}
		d.left[role] = all
	}
	m := d.left[role][0]
	d.left[role] = d.left[role][1:]
	return m
}

// soon is how long an event is waited for: some are rare. Then the kill comes anyway.
const soon = 6 * time.Second

// play carries out one kill and starts the victims again.
func (d *deck) play(ctx context.Context, c card) error {
	what := "at random"
	var caught *trap
	if c.event != "" {
		what = c.event
		caught = d.events.arm(c.victims[0].name, c.event)
		if starting[c.event] {
			if err := d.restart(c.victims[0]); err != nil {
				return err
			}
		}
		select {
		case <-caught.sprung:
		case <-time.After(soon):
			what = "waiting for " + c.event
		case <-ctx.Done():
		}
	}
	err := sleep(ctx, c.delay)
	for _, n := range c.victims {
		state, failed := n.kill()
		err = errors.Join(err, failed)
		d.killed(n, state, what)
	}
	if caught != nil {
		d.events.release(caught)
	}
	err = errors.Join(err, sleep(ctx, c.dead))
	if err != nil {
		return err
	}
	for _, n := range c.victims {
		if err := d.again(n); err != nil {
			return err
		}
		d.events.note("STARTED %s", n.name)
	}
	return nil
}

// killed takes note of a kill.
func (w *world) killed(n *node, state, at string) {
	w.events.note("KILLED %s, %s (%s)", n.name, state, at)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.kills[[2]string{n.role, state}]++
	w.triggers[[2]string{n.role, at}]++
}

// restart kills a node and starts it at once, for events that only come then.
func (d *deck) restart(n *node) error {
	state, err := n.kill()
	d.killed(n, state, "to see it start")
	return errors.Join(err, d.again(n))
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
