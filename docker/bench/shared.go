package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"

	"snapswarm/common/snapshot"
)

// sharedRow is a gathering and its limits.
type sharedRow struct {
	gathering

	copies, times float64
}

// gatherings are the rows, the first of which is what the others are compared with. Times are those of one mirror alone, which is as
// fast as the origin is; 0: no limit.
func gatherings() []sharedRow {
	return []sharedRow{
		{gathering{name: "1 mirror", mirrors: 1}, 1, 0},
		{gathering{name: "4 mirrors", mirrors: 4}, 1.05, 1.5},
		{gathering{name: "8 mirrors", mirrors: 8}, 1.05, 1.5},
		{gathering{name: "16 mirrors", mirrors: 16}, 1.10, 0},
		{gathering{name: "8, one killed at 30 %", mirrors: 8, killed: true}, 1.10, 0},
		{gathering{name: "8, one starts at 30 %", mirrors: 8, late: true}, 1.10, 0},
		{gathering{name: "8, one with a slow uplink", mirrors: 8, slow: true}, 1.10, 0},
		{gathering{name: "4 beside 4 liars", mirrors: 4, liars: 4}, 0, 1.5},
		{gathering{name: "4 with policy always", mirrors: 4, program: mirrorAlways}, 0, 0},
		{gathering{name: "4 clients of the library", mirrors: 4, program: librarySharer}, 0, 0},
		{gathering{name: "8 clients of the library", mirrors: 8, program: librarySharer}, 0, 0},
		{gathering{name: "4 libtorrent", mirrors: 4, program: libtorrentOnes}, 0, 0},
		{gathering{name: "8 libtorrent", mirrors: 8, program: libtorrentOnes}, 0, 0},
	}
}

// measureShared compares mirrors that share an origin with other clients that do.
func measureShared(ctx context.Context, b *bench, dir string) (section, error) {
	only, err := regexp.Compile(b.only)
	if err != nil {
		return section{}, err
	}
	p, err := b.publishShared(ctx, dir)
	if p != nil {
		defer func() { p.close() }()
	}
	if err != nil {
		return section{}, err
	}
	rows := slices.DeleteFunc(gatherings(), func(g sharedRow) bool { return !only.MatchString(g.name) })
	var contestants []contestant
	for _, g := range rows {
		c := contestant{
			name: g.name, writes: int64(g.mirrors) * p.torrent.Length,
			run: func(ctx context.Context, dir string) (usage, error) { return b.gather(ctx, p, g.gathering, dir) },
		}
		if g.program == libtorrentOnes {
			c.missing = unlessLibtorrent(ctx)
		}
		contestants = append(contestants, c)
	}
	results, err := b.compare(ctx, b.rounds, contestants)
	if err != nil {
		return section{}, err
	}
	return section{
		title: fmt.Sprintf("mirrors: %d MiB from one origin of %d MiB/s", p.torrent.Length>>20, originRate>>20),
		notes: []string{
			"All start at once unless the row says otherwise, and know each other's addresses. Wall time is that of the one that took longest,",
			"from its own start until all pieces are verified. Copies is what the origin sent, over the size of the snapshot; in brackets: each",
			"round. The library is anacrolix/torrent with its own webseed scheduler; libtorrent has the same webseed. Liars are peers that claim",
			"to have everything and never answer. CPU is that of all processes; from 8 mirrors on, two cores are the bottleneck.",
		},
		table: tabulate(results, standard(p.torrent.Length,
			figure("copies", "%.3f", copies()),
			column{"rounds", func(r result) string { return fmt.Sprintf("%.3f", r.values(copies())) }})),
		bars: sharedBars(rows, results),
	}, nil
}

// copies is what the origin sent, over the size of the snapshot.
func copies() metric { return detail("copies") }

func sharedBars(rows []sharedRow, results []result) []bar {
	var bars []bar
	for i, g := range rows {
		r := results[i]
		if g.copies > 0 && len(r.runs) > 0 {
			most := slices.Max(r.values(copies()))
			bars = append(bars, bar{
				what: "copies, " + g.name, measured: fmt.Sprintf("%.3f", most), limit: fmt.Sprintf("≤ %.2f", g.copies),
				met: most <= g.copies+1e-9,
			})
		}
		if g.times > 0 && rows[0].mirrors == 1 {
			bars = append(bars, timesAtMost("wall time, "+g.name+", of one alone", r, results[0], g.times))
		}
	}
	return bars
}

func readTorrent(path string) (*snapshot.Torrent, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return snapshot.ParseTorrent(b)
}

func startLiars(ctx context.Context, t *snapshot.Torrent, n int) ([]*liar, error) {
	var all []*liar
	for range n {
		l, err := startLiar(ctx, t)
		if err != nil {
			return all, err
		}
		all = append(all, l)
	}
	return all, nil
}
