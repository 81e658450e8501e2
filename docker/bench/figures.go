package main

import (
	"fmt"
	"slices"
)

// metric is one figure of a run.
type metric func(usage) float64

func wallSeconds(u usage) float64   { return u.wall.Seconds() }
func cpuSeconds(u usage) float64    { return u.cpu.Seconds() }
func serverSeconds(u usage) float64 { return u.server.Seconds() }
func bothSeconds(u usage) float64   { return (u.cpu + u.server).Seconds() }
func peakMiB(u usage) float64       { return float64(u.memory) / (1 << 20) }
func othersPercent(u usage) float64 { return 100 * u.others }

// detail is a figure that only some programs have.
func detail(name string) metric { return func(u usage) float64 { return u.detail[name] } }

// values are those of all rounds.
func (r result) values(m metric) []float64 {
	var all []float64
	for _, u := range r.runs {
		all = append(all, m(u))
	}
	return all
}

func (r result) median(m metric) float64 { return median(r.values(m)) }

// ratios are those of r to base, round by round: they ran right after one another.
func (r result) ratios(base result, m metric) []float64 {
	var all []float64
	for i := range min(len(r.runs), len(base.runs)) {
		if d := m(base.runs[i]); d > 0 {
			all = append(all, m(r.runs[i])/d)
		}
	}
	return all
}

func (r result) ratio(base result, m metric) float64 { return median(r.ratios(base, m)) }

// timesAtMost is the bar that r takes at most limit times as long as base.
func timesAtMost(what string, r, base result, limit float64) bar {
	b := bar{what: what, limit: fmt.Sprintf("≤ %.2f x", limit), measured: "not measured"}
	if all := r.ratios(base, wallSeconds); len(all) > 0 {
		ratio := median(all)
		b.measured = fmt.Sprintf("%.2f x (%.2f to %.2f)", ratio, slices.Min(all), slices.Max(all))
		b.met = ratio <= limit
	}
	return b
}

// memoryAtMost is the bar that no run of r takes more than limit MiB.
func memoryAtMost(what string, r result, limit float64) bar {
	most := slices.Max(append(r.values(peakMiB), 0))
	return bar{what: what, measured: fmt.Sprintf("%.0f MiB", most), limit: fmt.Sprintf("≤ %.0f MiB", limit), met: len(r.runs) > 0 && most <= limit}
}

// column is one of a table of results.
type column struct {
	head string
	cell func(r result) string
}

// figure is a column with the median of m.
func figure(head, format string, m metric) column {
	return column{head, func(r result) string { return fmt.Sprintf(format, r.median(m)) }}
}

// times is a column with the ratio of wall times to those of base.
func times(base result) column {
	return column{"x " + base.name, func(r result) string {
		if r.name == base.name || base.missing != "" {
			return "1"
		}
		return fmt.Sprintf("%.2f", r.ratio(base, wallSeconds))
	}}
}

// standard are the columns of every table, for size bytes that each run moves.
func standard(size int64, more ...column) []column {
	columns := []column{
		figure("wall s", "%.2f", wallSeconds),
		{"from - to", func(r result) string {
			all := r.values(wallSeconds)
			return fmt.Sprintf("%.2f - %.2f", slices.Min(all), slices.Max(all))
		}},
		figure("MB/s", "%.0f", func(u usage) float64 { return float64(size) / 1e6 / u.wall.Seconds() }),
		figure("CPU s", "%.2f", cpuSeconds),
		figure("peak MiB", "%.0f", peakMiB),
	}
	columns = append(columns, more...)
	return append(columns, figure("others' CPU", "%.0f %%", othersPercent))
}

// tabulate makes a table with a row for each result.
func tabulate(results []result, columns []column) table {
	t := table{head: []string{"medians"}}
	for _, c := range columns {
		t.head = append(t.head, c.head)
	}
	for _, r := range results {
		row := []string{r.name}
		if r.missing != "" {
			t.rows = append(t.rows, append(row, r.missing+" is not installed"))
			continue
		}
		for _, c := range columns {
			row = append(row, c.cell(r))
		}
		t.rows = append(t.rows, row)
	}
	return t
}
