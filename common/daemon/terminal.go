package daemon

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// Terminal is where a process talks to its operator, that is, stderr. Log lines and progress share it: on an
// interactive terminal the status lines stay at the bottom and everything written goes above them; elsewhere there are
// none. Its methods may be called concurrently. Set the fields before first use.
type Terminal struct {
	Out         io.Writer
	Interactive bool       // Out understands cursor movement
	Width       func() int // columns; nil: 80

	mu     sync.Mutex
	status []string // lines on the screen below the output; guarded by mu
}

// NewTerminal returns the terminal that out is, interactive if out is a file that is one and TERM is not "dumb".
func NewTerminal(out io.Writer) *Terminal {
	f, ok := out.(*os.File)
	if !ok {
		return &Terminal{Out: out}
	}
	fd := int(f.Fd())
	return &Terminal{
		Out:         f,
		Interactive: term.IsTerminal(fd) && os.Getenv("TERM") != "dumb",
		Width: func() int {
			width, _, err := term.GetSize(fd)
			if err != nil || width <= 0 {
				return 80
			}
			return width
		},
	}
}

// Columns returns the width of the terminal.
func (t *Terminal) Columns() int {
	if t.Width == nil {
		return 80
	}
	return t.Width()
}

// Write prints p, which should be whole lines, above the status lines.
func (t *Terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.status) == 0 {
		return t.Out.Write(p)
	}
	// One write, so that the screen does not flicker.
	var b bytes.Buffer
	b.WriteString(eraseLines(len(t.status)))
	b.Write(p)
	b.WriteString(strings.Join(t.status, "\n"))
	if _, err := t.Out.Write(b.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// SetStatus replaces the status lines; with none it removes them. It does nothing on a terminal that is not
// interactive. The lines must be shorter than the terminal is wide.
func (t *Terminal) SetStatus(lines ...string) {
	if !t.Interactive {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	text := eraseLines(len(t.status)) + strings.Join(lines, "\n")
	t.status = lines
	if text != "" {
		_, _ = io.WriteString(t.Out, text) // a terminal that went away cannot be told
	}
}

// eraseLines clears the last n lines, the cursor being at the end of the last one, and leaves it where the first began.
func eraseLines(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "\r\x1b[J"
	}
	return fmt.Sprintf("\r\x1b[%dA\x1b[J", n-1)
}
