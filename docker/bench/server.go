package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// server is a process that runs while others are measured.
type server struct {
	name   string
	cmd    *exec.Cmd
	output lockedBuffer
	ended  chan struct{}
}

// serve starts cmd and returns when it accepts connections at addr.
func (b *bench) serve(ctx context.Context, name, addr string, cmd *exec.Cmd) (*server, error) {
	s, err := b.start(name, cmd)
	if err != nil {
		return nil, err
	}
	err = s.await(ctx, "does not accept connections at "+addr, func() bool {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return s, err
}

// start starts cmd and does not wait for anything.
func (b *bench) start(name string, cmd *exec.Cmd) (*server, error) {
	s := &server{name: name, cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &s.output, &s.output
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(s.ended)
		_ = cmd.Wait() // it is stopped by a signal, or its output says why it ended
	}()
	b.servers = append(b.servers, s)
	return s, nil
}

// await polls until ready; otherwise says what is wrong if that takes too long, or the server ends.
func (s *server) await(ctx context.Context, otherwise string, ready func() bool) error {
	const patience, pause = 2 * time.Minute, 20 * time.Millisecond
	for deadline := time.Now().Add(patience); !ready(); {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s %s: %s", s.name, otherwise, tail(s.output.String()))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.ended:
			return fmt.Errorf("%s ended: %s", s.name, tail(s.output.String()))
		case <-time.After(pause):
		}
	}
	return nil
}

// stopPatience is how long a process may take to end as it is asked to.
const stopPatience = 20 * time.Second

// stop ends the process, and waits for that.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(stopPatience):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

// memory is the peak so far, as /proc shows it ("123 kB"), empty if unknown.
func (s *server) memory() string {
	return statusLine(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid), "VmHWM")
}

// stopServers ends all, the last one first.
func (b *bench) stopServers() {
	for _, s := range slices.Backward(b.servers) {
		s.stop()
	}
	b.servers = nil
}

// stopServer ends one of them.
func (b *bench) stopServer(s *server) {
	s.stop()
	b.servers = slices.DeleteFunc(b.servers, func(o *server) bool { return o == s })
}

func cpuOf(servers []*server) time.Duration {
	var total time.Duration
	for _, s := range servers {
		total += processCPU(s.cmd.Process.Pid)
	}
	return total
}

// freePort is one that nobody listens on now.
func freePort(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	addr := l.Addr().String()
	return addr, l.Close()
}

// lockedBuffer takes the output of a process that runs.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Clone(l.buf.String())
}
