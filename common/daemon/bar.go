package daemon

import (
	"fmt"
	"strings"
	"time"
)

// view is the state of a task at one moment, and how it looks.
type view struct {
	label, note          string
	done, resumed, total int64
	rate                 int64 // bytes per second
	young                bool  // not under way long enough to have stalled
}

func (v view) percent() int {
	if v.total <= 0 {
		return 0
	}
	return int(float64(min(v.done, v.total)) / float64(v.total) * 100)
}

// eta returns the time that is left at the present rate, "unknown", "starting" or "stalled".
func (v view) eta() string {
	switch {
	case v.total <= 0:
		return "unknown"
	case v.done >= v.total:
		return "0s"
	case v.rate == 0 && v.young:
		return "starting"
	case v.rate == 0:
		return "stalled"
	}
	return roughly(time.Duration(float64(v.total-v.done) / float64(v.rate) * float64(time.Second)))
}

// roughly formats d with the two units that matter: "51s", "12m05s", "3h12m", "4d3h".
func roughly(d time.Duration) string {
	switch s := int(d.Round(time.Second).Seconds()); {
	case d > 100*24*time.Hour: // also what overflowed
		return "over 100 days"
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	default:
		return fmt.Sprintf("%dd%dh", s/86400, s/3600%24)
	}
}

// elapsed formats how long something took, with a decimal where seconds are too coarse.
func elapsed(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return "under 0.1s"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	}
	return roughly(d)
}

// bar returns the line for a terminal of width columns: label, bar, percent, bytes, rate, time left, note. A narrow
// terminal loses the bar first, then the end of the line.
func (v view) bar(width int) string {
	figures := fmt.Sprintf("%s  %s/s", Bytes(v.done), Bytes(v.rate))
	if v.total > 0 {
		figures = fmt.Sprintf("%3d%%  %s of %s  %s/s  %s", v.percent(), Bytes(v.done), Bytes(v.total), Bytes(v.rate), v.left())
	}
	if v.note != "" {
		figures += "  " + v.note
	}
	const least, most = 8, 30
	room := min(width-len([]rune(v.label+figures))-len("  []  "), most)
	if v.total <= 0 || room < least {
		return cut(v.label+"  "+figures, width)
	}
	full := int(float64(min(v.done, v.total)) / float64(v.total) * float64(room))
	bar := strings.Repeat("=", full)
	if full < room {
		bar += ">" + strings.Repeat(" ", room-full-1)
	}
	return fmt.Sprintf("%s  [%s]  %s", v.label, bar, figures)
}

func (v view) left() string {
	if eta := v.eta(); v.rate == 0 {
		return eta
	}
	return "ETA " + v.eta()
}

// noted adds the note to the attributes of a log record, if there is one.
func (v view) noted(attrs ...any) []any {
	if v.note == "" {
		return attrs
	}
	return append(attrs, "note", v.note)
}

// summary is the line that stays when the task is done.
func (v view) summary(took time.Duration, rate int64) string {
	line := fmt.Sprintf("%s  done: %s in %s, %s/s", v.label, Bytes(v.done), elapsed(took), Bytes(rate))
	if v.note != "" {
		line += ", " + v.note
	}
	return line
}

func cut(line string, width int) string {
	if runes := []rune(line); len(runes) > width {
		return string(runes[:max(width, 0)])
	}
	return line
}
