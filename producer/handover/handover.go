// Package handover passes a piece of work to a process of the same machine that is there already, and shows it here: its log
// lines, its progress, and in the end its result or its error.
//
// The process that takes work has a [Desk], a Unix socket in a folder that only its user may enter; the other one uses [Call].
// Over the socket go lines of JSON: one request, then any number of events, of which the last is the [Outcome]. The request
// ends with the connection: a caller that goes away, or closes its side of the connection, cancels the work.
//
// What is shown is chosen by the context of the work: a log behind [Tap] copies the lines that were logged with it, and
// [Follow] copies a task that was begun with it. Both are lost rather than waited for when the caller is slow.
package handover

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// Outcome is how a piece of work ended.
type Outcome struct {
	// Result is whatever both sides agree on.
	Result json.RawMessage `json:"result,omitempty"`
	// Error says why there is none, for people.
	Error string `json:"error,omitempty"`
	// Exit is the code that the caller should end with.
	Exit int `json:"exit"`
}

// event is a line from the desk. One of its fields is set.
type event struct {
	Log     *line     `json:"log,omitempty"`
	Task    *progress `json:"task,omitempty"`
	Outcome *Outcome  `json:"outcome,omitempty"`
}

// line is a log record; its attributes are texts in pairs.
type line struct {
	Time    time.Time   `json:"time"`
	Level   slog.Level  `json:"level"`
	Message string      `json:"message"`
	Attrs   [][2]string `json:"attrs,omitempty"`
}

// progress is how far a task is.
type progress struct {
	ID    int    `json:"id"`
	Label string `json:"label"`
	Total int64  `json:"total"`
	Done  int64  `json:"done"`
	State state  `json:"state,omitempty"`
}

type state string

const (
	stateUnderWay state = ""
	stateDone     state = "done"
	stateCanceled state = "canceled"
)

const (
	maxLine       = 1 << 20 // of JSON
	requestWithin = 10 * time.Second
	writeWithin   = 10 * time.Second
	// cancelWithin is how long a caller that was interrupted waits to hear how the work ended.
	cancelWithin = 10 * time.Second
	// maxAddress is the longest path of a socket on the systems that have the shortest ones.
	maxAddress = 100
)

// ErrNobody means that no process takes work in that folder.
var ErrNobody = errors.New("nobody takes work there")

// errGone is why work is cancelled whose caller has gone.
var errGone = errors.New("the caller has gone")

const (
	deskDir    = "desk"
	socketName = "socket"
)

func socketPath(dir string) string { return filepath.Join(dir, deskDir, socketName) }

// withAddress calls use with an address for the socket at path. The addresses of sockets are short: that of a long path leads over a
// symbolic link, which exists only meanwhile.
func withAddress(path string, use func(address string) error) (err error) {
	if len(path) <= maxAddress {
		return use(path)
	}
	dir, err := os.MkdirTemp("", "desk") // which nobody else may enter
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	link := filepath.Join(dir, "d")
	if err := os.Symlink(filepath.Dir(path), link); err != nil {
		return err
	}
	return use(filepath.Join(link, filepath.Base(path)))
}
