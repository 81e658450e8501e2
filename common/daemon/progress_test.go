package daemon_test

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/daemon"
)

// screen is a terminal emulator that knows the little that Terminal uses: newline, carriage return, up, erase below.
type screen struct {
	mu    sync.Mutex
	lines []string
	row   int
	col   int
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for text := string(p); text != ""; {
		text = s.step(text)
	}
	return len(p), nil
}

func (s *screen) step(text string) string {
	for len(s.lines) <= s.row {
		s.lines = append(s.lines, "")
	}
	switch {
	case text[0] == '\n':
		s.row, s.col = s.row+1, 0
	case text[0] == '\r':
		s.col = 0
	case strings.HasPrefix(text, "\x1b[J"):
		s.lines = s.lines[:s.row+1]
		s.lines[s.row] = s.lines[s.row][:s.col]
		return text[3:]
	case strings.HasPrefix(text, "\x1b["):
		s.row -= int(text[2] - '0')
		return text[4:] // one digit and A
	default:
		s.lines[s.row] = s.lines[s.row][:s.col] + text[:1]
		s.col++
	}
	return text[1:]
}

func (s *screen) text() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := append([]string(nil), s.lines...)
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(screen)
		width := 130
		term := &daemon.Terminal{Out: s, Interactive: true, Width: func() int { return width }}
		log := daemon.NewLogger(term, daemon.Process{})
		p := daemon.NewProgress(term, log)
		defer p.Close()

		time.Sleep(100 * time.Millisecond) // between two repaints from now on
		task := p.Start("daily", 1000<<20)
		for second := range 20 {
			task.Set(int64(second) * 10 << 20)
			time.Sleep(time.Second)
		}
		task.Note("92% from peers, 8% from origin")
		task.Set(250 << 20)
		time.Sleep(10 * time.Second) // the window now holds 60 MiB
		want(t, s.text(), "daily  [=======>                      ]   25%  250 MiB of 1000 MiB  6.0 MiB/s  ETA 2m05s  92% from peers, 8% from origin")

		log.Info("peer lost")
		upload := p.Start("upload", -1)
		upload.Add(5 << 20)
		time.Sleep(time.Second)
		want(t, s.text(), "00:00:30 peer lost",
			"daily  [=======>                      ]   25%  250 MiB of 1000 MiB  0 B/s  stalled  92% from peers, 8% from origin",
			"upload  5.0 MiB  5.6 MiB/s")

		width = 40
		upload.Cancel()
		want(t, s.text(), "00:00:30 peer lost", "daily   25%  250 MiB of 1000 MiB  0 B/s")

		task.Set(1000 << 20)
		task.Done()
		task.Done()
		want(t, s.text(), "00:00:30 peer lost", "daily  done: 1000 MiB in 31s, 32 MiB/s, 92% from peers, 8% from origin")
	})
}

func TestATaskStartsBeforeItStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(screen)
		p := daemon.NewProgress(&daemon.Terminal{Out: s, Interactive: true}, slog.New(slog.DiscardHandler))
		defer p.Close()
		p.Start("get", 1<<20)
		for wait, say := range []string{"starting", "stalled"} {
			time.Sleep(time.Duration(1+10*wait) * time.Second)
			if got := s.text(); len(got) != 1 || !strings.HasSuffix(got[0], "0 B/s  "+say) {
				t.Errorf("%q, want %q", got, say)
			}
		}
	})
}

func TestShortStepsTakeTime(t *testing.T) {
	for took, say := range map[time.Duration]string{
		0: "under 0.1s", 99 * time.Millisecond: "under 0.1s", 490 * time.Millisecond: "0.4s", 1500 * time.Millisecond: "1.5s",
		9990 * time.Millisecond: "9.9s", 10 * time.Second: "10s", 61 * time.Second: "1m01s",
	} {
		synctest.Test(t, func(t *testing.T) {
			s := new(screen)
			p := daemon.NewProgress(&daemon.Terminal{Out: s, Interactive: true}, slog.New(slog.DiscardHandler))
			defer p.Close()
			task := p.Start("pack", 10)
			time.Sleep(took)
			task.Done()
			if got := s.text(); len(got) != 1 || !strings.HasPrefix(got[0], "pack  done: 0 B in "+say+", ") {
				t.Errorf("after %v: %q, want %q", took, got, say)
			}
		})
	}
}

func TestProgressCloseRemovesItsLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(screen)
		p := daemon.NewProgress(&daemon.Terminal{Out: s, Interactive: true}, slog.New(slog.DiscardHandler))
		task := p.Start("pack", 10)
		time.Sleep(time.Second)
		if len(s.text()) != 1 {
			t.Errorf("screen before Close: %q", s.text())
		}
		p.Close()
		p.Close()
		task.Cancel()
		if got := s.text(); len(got) != 0 {
			t.Errorf("screen after Close: %q", got)
		}
	})
}

func TestProgressCountsTasksBeyondWhatFits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(screen)
		p := daemon.NewProgress(&daemon.Terminal{Out: s, Interactive: true}, slog.New(slog.DiscardHandler))
		defer p.Close()
		for range 9 {
			p.Start("x", -1)
		}
		time.Sleep(time.Second)
		lines := s.text()
		if len(lines) != 7 || lines[6] != "... and 3 more" {
			t.Errorf("screen: %q", lines)
		}
	})
}

func TestProgressInALog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := new(screen)
		term := &daemon.Terminal{Out: out}
		p := daemon.NewProgress(term, slog.New(slog.NewTextHandler(term, &slog.HandlerOptions{ReplaceAttr: dropTime})))
		defer p.Close()
		task := p.Start("pack", 400<<20)
		task.Resume(100 << 20) // an earlier run did that: no rate
		time.Sleep(time.Second / 2)
		for range 20 {
			time.Sleep(time.Second)
			task.Add(5 << 20)
		}
		time.Sleep(14500 * time.Millisecond)
		task.Note("level 3")
		task.Done()
		silent := p.Start("verify", 7)
		silent.Set(7)
		silent.Done()
		want(t, out.text(),
			`level=INFO msg=progress step=pack bytes=152043520 total=419430400 percent=36 rate="4.5 MiB/s" eta=57s`,
			`level=INFO msg=progress step=pack bytes=204472320 total=419430400 percent=48 rate="5.0 MiB/s" eta=41s`,
			`level=INFO msg=progress step=pack bytes=209715200 total=419430400 percent=50 rate="512 KiB/s" eta=6m40s`,
			`level=INFO msg="step done" step=pack bytes=209715200 took=35s rate="2.9 MiB/s" note="level 3"`,
			`level=INFO msg="step done" step=verify bytes=7 took=0s rate="0 B/s"`)
	})
}

func dropTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
