package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What a restart may do to the archive besides serving one request, whatever its size.
const (
	restartReads = 1 << 20 // bytes
	restartCalls = 100
)

// traceRestart counts the system calls on the archive from the start of a program until some seconds after its first byte.
func (b *bench) traceRestart(ctx context.Context, h *huge, program, log string) ([]bar, []string) {
	calls := bar{what: "system calls on the archive, " + program, limit: fmt.Sprintf("≤ %d", restartCalls)}
	read := bar{what: "bytes of the archive that are read, " + program, limit: fmt.Sprintf("≤ %d", restartReads)}
	if unlessInstalled("strace") != "" {
		calls.measured, calls.limit = "strace is not installed", ""
		return []bar{calls}, nil
	}
	counts, err := b.straceRestart(ctx, h, program, log)
	if err != nil {
		calls.measured, calls.limit = "strace did not work: "+err.Error(), ""
		return []bar{calls}, nil
	}
	lines := []string{fmt.Sprintf("%-10s %8s %14s   strace -f -P %s %s", "syscall", "calls", "bytes", restartFile, program)}
	var total count
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		c := counts[name]
		total.calls += c.calls
		lines = append(lines, fmt.Sprintf("%-10s %8d %14d", name, c.calls, max(0, c.bytes)*movesBytes(name)))
		total.bytes += max(0, c.bytes) * movesBytes(name)
	}
	calls.measured, calls.met = fmt.Sprint(total.calls), total.calls > 0 && total.calls <= restartCalls
	read.measured, read.met = fmt.Sprint(total.bytes), total.calls > 0 && total.bytes <= restartReads
	return []bar{calls, read}, lines
}

// movesBytes is 1 for calls that return how many bytes they read, else 0.
func movesBytes(name string) int64 {
	if strings.Contains(name, "read") || name == "sendfile" || name == "splice" || name == "copy_file_range" {
		return 1
	}
	return 0
}

// straceRestart runs the program under strace, which sees it from its first moment.
func (b *bench) straceRestart(ctx context.Context, h *huge, program, log string) (map[string]count, error) {
	addr, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	s, err := b.start(program, b.command(ctx, h.settings(program, addr),
		"strace", "-f", "-e", "signal=none", "-s", "0", "-o", log, "-P", h.archive(program), b.program(program)))
	if err != nil {
		return nil, err
	}
	defer b.stopServer(s)
	defer endChildren(s) // and strace with them
	if err := s.await(ctx, "serves nothing", h.asker(ctx, program, addr)); err != nil {
		return nil, err
	}
	if err := pause(ctx, settle); err != nil {
		return nil, err
	}
	f, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return countCalls(f)
}

// endChildren asks the children of a process to end, and waits until it has ended itself.
func endChildren(s *server) {
	pid := s.cmd.Process.Pid
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for child := range strings.FieldsSeq(string(children)) {
		if id, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(id, syscall.SIGTERM)
		}
	}
	select {
	case <-s.ended:
	case <-time.After(stopPatience):
	}
}
