//go:build e2e && linux

package crash_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// count counts for the report.
func (w *world) count(what string, n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what] += n
}

// counted is what count has counted.
func (w *world) counted(what string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[what]
}

// hit is how many kills came while a node of that role was in that state.
func (w *world) hit(role, state string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.kills[[2]string{role, state}]
}

// report shows what was killed, and what was seen.
func (w *world) report() {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	tabulate(&b, "kills, by what the process was doing", w.kills)
	tabulate(&b, "kills, by what they waited for", w.triggers)
	fmt.Fprintf(&b, "\nseen\n")
	for _, what := range slices.Sorted(maps.Keys(w.counts)) {
		fmt.Fprintf(&b, "%11d  %s\n", w.counts[what], what)
	}
	h := w.history
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, where := range w.watched() {
		fmt.Fprintf(&b, "%11d  pointers at %s\n", h.moved[where], where)
	}
	fmt.Fprintf(&b, "\n%-10s %14s %18s %18s\n", "node", "bytes taken", "again after a kill", "twice without one")
	for _, n := range w.nodes {
		fmt.Fprintf(&b, "%-10s %14d %18d %18d\n", n.name, h.taken[n.name], h.again[n.name], h.twice[n.name])
	}
	w.t.Logf("\n%s", &b)
}

// tabulate writes counts by role and something else, a role after the other, the most first.
func tabulate(b *strings.Builder, title string, counts map[[2]string]int64) {
	var sum int64
	for _, n := range counts {
		sum += n
	}
	fmt.Fprintf(b, "\n%s: %d\n", title, sum)
	for _, k := range slices.SortedFunc(maps.Keys(counts), func(x, y [2]string) int {
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(counts[y], counts[x]), cmp.Compare(x[1], y[1]))
	}) {
		fmt.Fprintf(b, "%11d  %-9s %s\n", counts[k], k[0], k[1])
	}
}
