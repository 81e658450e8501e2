package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"time"

	"snapswarm/docker/bench/crowd"
)

// What is simulated: 8 GiB in pieces of 4 MiB, an origin of 1 Gbit/s, uplinks of 32 Mbit/s and downlinks of 128 Mbit/s.
const (
	crowdPieces   = 2048
	crowdOrigin   = 30 // pieces per second
	crowdPatience = 5 * time.Minute
	// crowdSeed is another one than those that the rule's figures were chosen with.
	crowdSeed = 20261120
)

// crowdCase is a column of the table.
type crowdCase struct {
	name   string
	copies float64 // at most
	change func(*crowd.Scenario)
}

func crowdCases() []crowdCase {
	const third = 1. / 3
	return []crowdCase{
		{"at once", 1.15, func(*crowd.Scenario) {}},
		{"mixed links", 1.15, func(s *crowd.Scenario) { s.Mixed = true }},
		{"one by one", 1.15, func(s *crowd.Scenario) { s.Spread = float64(s.Pieces) }},
		{"a third leaves", 1.15, func(s *crowd.Scenario) { s.Leavers = third }},
		{"a third foreign", 1.15, func(s *crowd.Scenario) { s.Foreign = third }},
		{"a third lies", 1.5, func(s *crowd.Scenario) { s.Liars = third }},
	}
}

// bestTimes is how much longer than the bound 95 % of the mirrors may take.
const bestTimes = 1.2

// simulation is one run and what came of it.
type simulation struct {
	crowd.Scenario
	of     *crowdCase // nil: for the plot alone
	result crowd.Result
}

func (s *simulation) name() string {
	name := "webseeds beside peers"
	if s.of != nil {
		name = s.of.name
	}
	return fmt.Sprintf("%d mirrors, degree %d, %s", s.Mirrors, s.Degree, name)
}

// measureCrowd simulates mirrors from a handful to ten thousand.
func measureCrowd(ctx context.Context, b *bench, _ string) (section, error) {
	only, err := regexp.Compile(b.only)
	if err != nil {
		return section{}, err
	}
	sizes := []int{8, 16, 50, 200, 1000, 10_000}
	pieces := max(128, int(crowdPieces*b.scale))
	var all []*simulation
	cases := crowdCases()
	for _, n := range sizes {
		if n > 20 && float64(n) > 10_000*b.scale {
			break
		}
		base := crowd.Scenario{Mirrors: n, Degree: 50, Pieces: pieces, Seed: crowdSeed, Origin: crowdOrigin, Patience: crowdPatience}
		for _, degree := range []int{20, 50} {
			base.Degree = degree
			for i := range cases {
				if n > 1000 && (i > 0 || degree > 20) {
					continue // it would take an hour
				}
				s := base
				cases[i].change(&s)
				all = append(all, &simulation{Scenario: s, of: &cases[i]})
			}
		}
		if n <= 1000 {
			always := base
			always.Policy, always.Degree = crowd.Always, 20
			all = append(all, &simulation{Scenario: always})
		}
	}
	all = slices.DeleteFunc(all, func(s *simulation) bool { return !only.MatchString(s.name()) })
	if err := b.simulate(ctx, all); err != nil {
		return section{}, err
	}
	if b.plot != "" {
		if err := os.WriteFile(b.plot, []byte(drawCrowd(all)), 0o644); err != nil {
			return section{}, err
		}
	}
	return crowdSection(pieces, cases, all), nil
}

// simulate runs all, one on each core.
func (b *bench) simulate(ctx context.Context, all []*simulation) error {
	work := make(chan *simulation)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for s := range work {
				began := time.Now()
				s.result = crowd.Run(s.Scenario)
				b.logf("%-45s %.3f copies, %.2f of the bound (%.0f s)",
					s.name(), s.result.Egress, s.result.Most/s.result.Bound, time.Since(began).Seconds())
			}
		})
	}
	var err error
	for i := len(all) - 1; i >= 0 && err == nil; i-- { // the largest first
		select {
		case work <- all[i]:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	close(work)
	wg.Wait()
	return err
}

func crowdSection(pieces int, cases []crowdCase, all []*simulation) section {
	t := table{head: []string{"mirrors, peers of each"}}
	for _, c := range cases {
		t.head = append(t.head, c.name)
	}
	most := make([]float64, len(cases)) // copies
	slowest := 0.
	rows := make(map[string]int)
	for _, s := range all {
		if s.of == nil {
			continue
		}
		name := fmt.Sprintf("%d, %d", s.Mirrors, min(s.Degree, s.Mirrors-1))
		row, ok := rows[name]
		if !ok {
			row = len(t.rows)
			rows[name] = row
			t.rows = append(t.rows, append([]string{name}, make([]string, len(cases))...))
		}
		i := slices.IndexFunc(cases, func(c crowdCase) bool { return c.name == s.of.name })
		times := s.result.Most / s.result.Bound
		t.rows[row][i+1] = fmt.Sprintf("%.2f / %.2f", s.result.Egress, times)
		if s.result.Unfinished > 0 {
			t.rows[row][i+1] += fmt.Sprintf(" (%d never)", s.result.Unfinished)
			times = math.Inf(1)
		}
		most[i], slowest = max(most[i], s.result.Egress), max(slowest, times)
	}
	bars := []bar{{what: "95 % complete, of the bound", measured: fmt.Sprintf("%.2f x", slowest), limit: fmt.Sprintf("≤ %.2f x", bestTimes), met: slowest <= bestTimes}}
	for i, c := range cases {
		bars = append(bars, bar{
			what: "copies from the origin, " + c.name, measured: fmt.Sprintf("%.2f", most[i]), limit: fmt.Sprintf("≤ %.2f", c.copies), met: most[i] <= c.copies,
		})
	}
	return section{
		title: fmt.Sprintf("crowd: %d pieces, simulated", pieces),
		notes: []string{
			"The rule is the code that mirrors run (`common/swarm/schedule`); links, peers and the origin are a model (`docker/bench/crowd`): an",
			"origin of 1 Gbit/s, mirrors with uplinks of 32 and downlinks of 128 Mbit/s unless mixed. In each cell: copies of the snapshot that the",
			"origin sent, and when 95 % of the mirrors were complete, over the bound: pieces over the mean uplink, the slowest downlink or the origin's rate.",
		},
		table: t, bars: bars,
	}
}

// drawCrowd plots the first case of each size beside what happens without the rule.
func drawCrowd(all []*simulation) string {
	copies := chart{title: "copies from the origin"}
	times := chart{title: "minutes until 95 % are complete"}
	var ours, always, direct, oursTook, alwaysTook, directTook line
	for _, s := range all {
		if s.Degree != 20 || s.of != nil && s.of.name != "at once" {
			continue
		}
		n := float64(s.Mirrors)
		if s.of == nil {
			always.add(n, s.result.Egress)
			alwaysTook.add(n, s.result.Most/60)
			continue
		}
		ours.add(n, s.result.Egress)
		oursTook.add(n, s.result.Most/60)
		direct.add(n, n)
		directTook.add(n, float64(s.Pieces)*max(n/s.Origin, 1./4)/60)
	}
	ours.name, always.name, direct.name = "mirrors", "webseeds beside peers", "all from the origin"
	copies.lines = []line{ours, always, direct}
	times.lines = []line{oursTook, alwaysTook, directTook}
	return draw(copies, times)
}
