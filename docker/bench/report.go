package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report is everything that was measured.
type report struct {
	machine  []fact
	began    time.Time
	load     string
	sections []section
}

// fact is a line about the machine.
type fact struct{ name, value string }

// section is one measurement in the report.
type section struct {
	title string
	notes []string
	table table
	bars  []bar
	after []string // preformatted lines below the table
}

// bar is what a figure must not exceed. Without a limit it is only shown.
type bar struct {
	what     string
	measured string
	limit    string
	met      bool
}

func (b bar) verdict() string {
	switch {
	case b.limit == "":
		return "shown"
	case b.met:
		return "met"
	}
	return "MISSED"
}

func newReport(ctx context.Context) *report {
	return &report{began: time.Now(), load: loadAverage(), machine: machineFacts(ctx)}
}

// write prints the report as Markdown.
func (r *report) write(w io.Writer) error {
	var s strings.Builder
	fmt.Fprintf(&s, "# Side by side, %s\n\n", r.began.UTC().Format("2006-01-02 15:04 UTC"))
	load := fmt.Sprintf("%s at the beginning, %s at the end, %s later", r.load, loadAverage(), time.Since(r.began).Round(time.Second))
	facts := slices.Concat(r.machine, []fact{{"load average", load}})
	for _, f := range facts {
		fmt.Fprintf(&s, "- %s: %s\n", f.name, f.value)
	}
	for _, section := range r.sections {
		section.write(&s)
	}
	_, err := io.WriteString(w, s.String())
	return err
}

func (s *section) write(w *strings.Builder) {
	fmt.Fprintf(w, "\n## %s\n\n", s.title)
	for _, n := range s.notes {
		fmt.Fprintf(w, "%s\n", n)
	}
	w.WriteString("\n")
	s.table.write(w)
	if len(s.bars) > 0 {
		t := table{head: []string{"bar", "measured", "limit", ""}}
		for _, b := range s.bars {
			t.rows = append(t.rows, []string{b.what, b.measured, b.limit, b.verdict()})
		}
		w.WriteString("\n")
		t.write(w)
	}
	if len(s.after) > 0 {
		fmt.Fprintf(w, "\n```\n%s\n```\n", strings.Join(s.after, "\n"))
	}
}

// table is printed so that it can be read as text, too. All columns but the first are aligned to the right.
type table struct {
	head []string
	rows [][]string
}

func (t *table) write(w *strings.Builder) {
	width := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	line := func(row []string) {
		for i := range t.head {
			cell := ""
			if i < len(row) {
				cell = row[i]
			}
			pad := strings.Repeat(" ", width[i]-len([]rune(cell)))
			if i == 0 {
				cell, pad = cell+pad, ""
			}
			fmt.Fprintf(w, "| %s%s ", pad, cell)
		}
		w.WriteString("|\n")
	}
	line(t.head)
	for i := range t.head {
		rule := strings.Repeat("-", width[i]+1) + ":"
		if i == 0 {
			rule = strings.Repeat("-", width[i]+2)
		}
		w.WriteString("|" + rule)
	}
	w.WriteString("|\n")
	for _, row := range t.rows {
		line(row)
	}
}

// machineFacts are what one must know to compare figures of two machines.
func machineFacts(ctx context.Context) []fact {
	facts := []fact{{"machine", fmt.Sprintf("%s/%s, %d cores", runtime.GOOS, runtime.GOARCH, runtime.NumCPU())}}
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, fact{name, value})
		}
	}
	add("CPU", statusLine("/proc/cpuinfo", "model name"))
	add("memory", statusLine("/proc/meminfo", "MemTotal"))
	add("kernel", firstLine(ctx, "uname", "-sr"))
	add("Go", runtime.Version())
	versions := []string{installed("libtorrent", libtorrentVersion(ctx))}
	for _, p := range [][2]string{{"zstd", "-V"}, {"aria2c", "-v"}, {"nginx", "-v"}, {"curl", "-V"}, {"strace", "-V"}} {
		versions = append(versions, installed(p[0], firstLine(ctx, p[0], p[1])))
	}
	add("beside", strings.Join(versions, ", "))
	return facts
}

var versionNumber = regexp.MustCompile(`\d+(\.\d+)+`)

// installed names a program with the version that is found in what it prints.
func installed(name, prints string) string {
	if prints == "" {
		return name + " (not installed)"
	}
	return name + " " + versionNumber.FindString(prints)
}

// firstLine is the first line that a program prints, empty if it fails.
func firstLine(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// loadAverage is that of the last minute.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

// median of values, 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}
