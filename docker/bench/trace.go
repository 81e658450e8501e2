package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// traceWrites shows how the bytes of a whole file leave the gateway: sendfile moves them within the kernel, write would copy
// them through the process.
func (b *bench) traceWrites(ctx context.Context, g *served, dir string) (bar, []string) {
	result := bar{what: "bytes of a whole file that leave by sendfile", limit: "> 99.9 %"}
	if unlessInstalled("strace") != "" {
		result.measured, result.limit = "strace is not installed", ""
		return result, nil
	}
	counts, err := b.trace(ctx, g, filepath.Join(dir, "trace"))
	if err != nil {
		result.measured, result.limit = "strace did not work: "+err.Error(), ""
		return result, nil
	}
	lines := []string{fmt.Sprintf("%-10s %8s %8s %14s   strace -f -e trace=%s, one GET of %d bytes", "syscall", "calls", "failed", "bytes", tracedCalls, g.size)}
	for _, name := range strings.Split(tracedCalls, ",") {
		c := counts[name]
		lines = append(lines, fmt.Sprintf("%-10s %8d %8d %14d", name, c.calls, c.failed, c.bytes))
	}
	part := float64(counts["sendfile"].bytes) / float64(g.size)
	result.measured, result.met = fmt.Sprintf("%.3f %%", 100*part), part > 0.999
	return result, lines
}

// tracedCalls are all system calls that can move a file's bytes into a socket, and the one that reads them before that.
const tracedCalls = "sendfile,splice,write,writev,sendto,sendmsg,read,pread64"

// trace lets strace watch the gateway during one download.
func (b *bench) trace(ctx context.Context, g *served, log string) (map[string]count, error) {
	strace := b.command(ctx, nil, "strace", "-f", "-e", "trace="+tracedCalls, "-e", "signal=none", "-s", "0", "-o", log,
		"-p", strconv.Itoa(g.server.cmd.Process.Pid))
	s := &server{name: "strace", cmd: strace, ended: make(chan struct{})}
	strace.Stdout, strace.Stderr = &s.output, &s.output
	if err := strace.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.ended)
		_ = strace.Wait()
	}()
	defer s.stop()
	attached := func() bool { return strings.Contains(s.output.String(), "attached") }
	if err := s.await(ctx, "does not attach", attached); err != nil {
		return nil, err
	}
	if err := b.command(ctx, nil, "curl", "-sSf", "-o", os.DevNull, g.url).Run(); err != nil {
		return nil, err
	}
	s.stop()
	f, err := os.Open(log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return countCalls(f)
}

// count is what became of a system call.
type count struct {
	calls, failed, bytes int64
}

// returned is the end of a line of strace: a call, whole or resumed after others, and what it returned.
var returned = regexp.MustCompile(`^\d+\s+(?:<\.\.\. )?(\w+)(?:\(| resumed>).*= (-?\d+)`)

// countCalls sums up what strace -f wrote.
func countCalls(r io.Reader) (map[string]count, error) {
	counts := map[string]count{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		m := returned.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		n, err := strconv.ParseInt(m[2], 10, 64)
		if err != nil {
			return nil, err
		}
		c := counts[m[1]]
		c.calls++
		if n < 0 {
			c.failed++
		} else {
			c.bytes += n
		}
		counts[m[1]] = c
	}
	return counts, lines.Err()
}
