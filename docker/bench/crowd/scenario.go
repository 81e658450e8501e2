// Package crowd simulates many mirrors that fetch one snapshot from an origin and from each other. What each takes from the
// origin is decided by package schedule, the code that mirrors run; links, peers and the origin are a coarse model:
//
//   - Time goes in steps, of a second by default. Uplinks and downlinks are credits of whole pieces; an uplink sends one piece after the other,
//     each to a random peer that lacks it, and prefers pieces that are rare around that peer. What has arrived can be passed on in
//     the next step, and all neighbours know of it.
//   - The origin divides its rate evenly among the requests under way, within each mirror's downlink.
//   - Peers do not look for new ones when some are gone.
//
// So it shows how the rule scales, not what a protocol costs.
package crowd

import (
	"math"
	"time"

	"snapswarm/common/swarm/schedule"
)

// Scenario is what is simulated. Rates are in pieces per second.
type Scenario struct {
	Mirrors int
	// Degree is how many connections a mirror has on average.
	Degree int
	Pieces int
	// Unit is how many pieces one request to the origin is for; default 1.
	Unit int
	Seed uint64
	// Spread is in how many seconds the mirrors start, each connecting to those that are there; 0: all at once.
	Spread float64
	// Up and Down are all mirrors' links; default 1 and 4.
	Up, Down float64
	// Mixed links instead: most are slow, some are fast.
	Mixed bool
	// Slow is the first mirror's uplink instead; 0: as the others'.
	Slow float64
	// Machine is what all uplinks together can send, where all mirrors run on one machine; default: no limit.
	Machine float64
	// Step of time in seconds; default 1. A piece takes at least one from mirror to mirror.
	Step float64
	// Leavers, Liars and Foreign are parts of the peers: that go away some time, that claim to have everything and send nothing,
	// and that never ask the origin.
	Leavers, Liars, Foreign float64
	// Origin is its rate over all.
	Origin float64
	Policy Policy
	// Patience of all mirrors.
	Patience time.Duration
	Tuning   schedule.Tuning
}

func (s Scenario) withDefaults() Scenario {
	if s.Unit == 0 {
		s.Unit = 1
	}
	if s.Up == 0 {
		s.Up, s.Down = 1, 4
	}
	if s.Machine == 0 {
		s.Machine = math.Inf(1)
	}
	if s.Step == 0 {
		s.Step = 1
	}
	return s
}

// Policy is what mirrors do with the origin.
type Policy int

// The policies that can be compared.
const (
	Shared Policy = iota // package schedule's rule
	Always               // everything from the origin and from peers, as webseed clients do
)

// Result is what came of it. Times are in seconds.
type Result struct {
	// Egress is what the origin sent, in copies of the snapshot.
	Egress float64
	// Last and Most are when the last mirror and 95 % of those that stayed were complete, since their own starts.
	Last, Most float64
	// Bound is when all can be complete at the earliest if the origin gives but one copy: pieces by the mean uplink, or by the
	// slowest downlink.
	Bound float64
	// Decisions is how often the rule was asked.
	Decisions int
	// Unfinished mirrors at the end of the simulation.
	Unfinished int
}
