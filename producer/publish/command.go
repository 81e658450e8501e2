package publish

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	commandGrace = 10 * time.Second // between SIGTERM and SIGKILL
	maxLine      = 4 << 10          // of the command's output
)

// heightMark begins the line in which a command tells the block height of what it made.
const heightMark = "HEIGHT="

// runCommand runs a shell command with SNAPSHOT_SOURCE in its environment. Its output goes to the log line by line; a line
// HEIGHT=number tells the block height, which is 0 without one, and of several the last counts. When ctx ends, or this
// process is killed, the command and all its children are asked to stop, then killed. Errors wrap [ErrCommand] and hold
// the last line of output.
func runCommand(ctx context.Context, command, source string, log *slog.Logger) (height uint64, err error) {
	log.InfoContext(ctx, "snapshot command begins", "command", command)
	began := time.Now()
	group, err := newGuard()
	if err != nil {
		return 0, err
	}
	defer group.release()
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), isKey), "SNAPSHOT_SOURCE="+source)
	cmd.SysProcAttr = group.member()
	cmd.Cancel = func() error { return group.signal(syscall.SIGTERM) }
	cmd.WaitDelay = commandGrace
	out := &lineLog{log: func(line string) { log.InfoContext(ctx, "snapshot command", "output", line) }}
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	out.flush()
	if cmd.Process != nil && ctx.Err() != nil {
		_ = group.signal(syscall.SIGKILL) // whatever did not listen
		return 0, context.Cause(ctx)
	}
	if err == nil {
		height, err = out.height()
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %q: %w%s", ErrCommand, command, err, out.lastWords())
	}
	log.InfoContext(ctx, "snapshot command done", "took", time.Since(began))
	return height, nil
}

// isKey reports whether an entry of the environment is the channel's signing key, which is no business of the command.
func isKey(entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	return name == "AUTHORITY_KEY" || name == "DHT_PRIVATE_KEY"
}

// lineLog hands over what is written to it line by line. Longer lines are cut.
type lineLog struct {
	log func(line string)

	mu   sync.Mutex
	part []byte // guarded by mu
	last string // guarded by mu
	told string // what followed the last heightMark; guarded by mu
}

func (l *lineLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := p; len(rest) > 0; {
		line, after, found := bytes.Cut(rest, []byte{'\n'})
		l.part = append(l.part, line[:min(len(line), maxLine-len(l.part))]...)
		if found {
			l.emit()
		}
		rest = after
	}
	return len(p), nil
}

func (l *lineLog) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.emit()
}

// emit needs l.mu.
func (l *lineLog) emit() {
	if line := strings.TrimSpace(string(l.part)); line != "" {
		l.last = line
		if text, ok := strings.CutPrefix(line, heightMark); ok {
			l.told = text
		}
		l.log(line)
	}
	l.part = l.part[:0]
}

func (l *lineLog) lastWords() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == "" {
		return ""
	}
	return ": " + l.last
}

// height is the block height that was told, 0 if none was.
func (l *lineLog) height() (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(l.told, 10, 63) // of a pointer
	if err != nil {
		return 0, fmt.Errorf("%s%s is no block height", heightMark, l.told)
	}
	return n, nil
}
