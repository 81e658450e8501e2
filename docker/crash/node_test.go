//go:build e2e && linux

package crash_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"snapswarm/docker/stack"
)

// Roles of the nodes.
const (
	producer = "producer"
	mirror   = "mirror"
	gateway  = "gateway"
)

// node is one program of the swarm over all its lives.
type node struct {
	name, role string
	host       string // the address that it binds
	door       string // the address at which peers reach it, through the relay

	mu      sync.Mutex // guards the rest
	process *stack.Process
	life    int  // from 1
	alive   bool // not killed by us
	state   string
}

// running is the process id and the life, 0 while it is dead.
func (n *node) running() (pid, life int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.alive {
		return 0, n.life
	}
	return n.process.PID(), n.life
}

// now is its present process, nil while it is dead.
func (n *node) now() *stack.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.alive {
		return nil
	}
	return n.process
}

// lives fails if the process has ended by itself.
func (n *node) lives(context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.alive {
		return nil
	}
	select {
	case <-n.process.Done():
		return n.process.Exit()
	default:
		return nil
	}
}

func (n *node) become(state string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = state
}

// kill ends the process and returns what it was doing, as far as it had told.
func (n *node) kill() (state string, err error) {
	n.mu.Lock()
	p := n.process
	n.alive = false
	n.mu.Unlock()
	select {
	case <-p.Done():
		return "", fmt.Errorf("%s ended before it was killed: %w", n.name, p.Exit())
	default:
	}
	if err := p.Kill(); err != nil {
		return "", err
	}
	if code := p.ExitCode(); code != -1 { // it was faster
		return "", fmt.Errorf("%s ended before it was killed: %w", n.name, p.Exit())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state, nil
}

// begin notes that a process runs. It is called before the process can be seen by anybody.
func (n *node) begin(start func() (*stack.Process, error)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.life++
	n.state = "starting"
	p, err := start()
	if err != nil {
		return err
	}
	n.process, n.alive = p, true
	return nil
}

// Write takes the log of all processes, a line at a time, each with its node's name in front.
func (w *world) Write(line []byte) (int, error) {
	name, text, _ := strings.Cut(string(line), " | ")
	if n := w.node(name); n != nil {
		w.logged(n, strings.TrimSuffix(text, "\n"))
	}
	return len(line), nil
}

// logged learns from the log what a node is doing.
func (w *world) logged(n *node, line string) {
	if strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") {
		w.wrong(fmt.Errorf("%s: %s", n.name, line))
	}
	what := field(line, "msg")
	if strings.HasPrefix(what, "step ") {
		what += " " + field(line, "step")
	}
	if os.Getenv("CRASH_VERBOSE") != "" || field(line, "level") != "DEBUG" {
		w.events.note("%s: %s", n.name, line)
	}
	if state := states[n.role][what]; state != "" {
		n.become(state)
	} else if step, ok := strings.CutPrefix(what, "step begins "); ok {
		n.become(step)
	}
	w.events.saw(n, what, false)
}

// states are what begins with a line of the log.
var states = map[string]map[string]string{ //nolint:gochecknoglobals // a table
	producer: {
		"serving": "idle", "step done retain": "idle",
		"nothing published; the snapshot from before stays": "failed",
	},
	mirror: {
		"following": "following", "pointer found": "opening", "download begins": "downloading",
		"snapshot complete and verified": "complete", "old version removed": "seeding",
	},
	gateway: {"serving": "serving", "new snapshot": "fetching", "snapshot is complete": "complete"},
}

// field is the value of a key in a line of slog's text format.
func field(line, key string) string {
	_, rest, ok := strings.Cut(" "+line, " "+key+"=")
	if !ok {
		return ""
	}
	if quoted, ok := strings.CutPrefix(rest, `"`); ok {
		value, _, _ := strings.Cut(quoted, `"`)
		return value
	}
	value, _, _ := strings.Cut(rest, " ")
	return value
}
