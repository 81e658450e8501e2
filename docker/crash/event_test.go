//go:build e2e && linux

package crash_test

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// events tells what the nodes are doing, and lets one thing be waited for. The zero value is ready.
type events struct {
	mu     sync.Mutex // guards the rest
	armed  *trap
	recent []string
}

// trap waits for an event of a node, such as "before PUT pointer", or for one in a certain state, such as "retain: before GET bucket".
// Whoever saw it happen may be held until the driver lets go: so a request can be frozen before it
// is passed on.
type trap struct {
	node, what string
	sprung     chan struct{}
	released   chan struct{}
}

// arm sets a trap; there is one at a time.
func (e *events) arm(node, what string) *trap {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.armed = &trap{node, what, make(chan struct{}), make(chan struct{})}
	return e.armed
}

// release takes the trap away, and lets go who was caught in it.
func (e *events) release(t *trap) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.armed == t {
		e.armed = nil
	}
	close(t.released)
}

// saw tells of an event. With hold, it returns after what was waiting for the event has done its work.
func (e *events) saw(n *node, what string, hold bool) {
	n.mu.Lock()
	state := n.state
	n.mu.Unlock()
	e.mu.Lock()
	t := e.armed
	if t != nil && t.node == n.name && (t.what == what || t.what == state+": "+what) {
		e.armed = nil
		close(t.sprung)
	} else {
		t = nil
	}
	e.mu.Unlock()
	if t != nil && hold {
		<-t.released
	}
}

const remembered = 200

// note keeps a line for those who have to find out what went wrong.
func (e *events) note(format string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.recent = append(e.recent, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	if len(e.recent) > remembered {
		e.recent = e.recent[1:]
	}
}

func (e *events) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.recent, "\n")
}
