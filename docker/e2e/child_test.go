//go:build e2e

package e2e_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// childGrace is how long a foreign program may take to end before it is killed: some tell trackers first.
const childGrace = 2 * time.Second

// child is a foreign program that runs until its test ends.
type child struct {
	*world
	name string
	log  string
	done chan struct{} // closed when it has ended
}

// start runs a program in dir. What it says is shown if the test fails.
func (w *world) start(dir, path string, args ...string) *child {
	w.t.Helper()
	return w.startUpTo(1, dir, path, args...)
}

// startUpTo is start for a program that sometimes ends without a reason: it is started again, so many times in all.
func (w *world) startUpTo(times int, dir, path string, args ...string) *child {
	w.t.Helper()
	c := &child{world: w, name: filepath.Base(path), log: filepath.Join(w.t.TempDir(), "log"), done: make(chan struct{})}
	log, err := os.Create(c.log)
	w.ok(err)
	ctx, cancel := context.WithCancel(w.ctx)
	run := func() (*exec.Cmd, error) {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, log, log, childGrace
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir, "TERM=dumb")
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		err := cmd.Start()
		return cmd, err
	}
	cmd, err := run()
	w.ok(err)
	go func() {
		defer close(c.done)
		defer log.Close()
		for left := times - 1; err == nil; left-- {
			_ = cmd.Wait() // how a foreign program ends is its own affair
			if left == 0 || ctx.Err() != nil {
				return
			}
			cmd, err = run()
		}
	}()
	w.t.Cleanup(func() {
		cancel()
		<-c.done
		if w.t.Failed() {
			w.t.Logf("%s said:\n%s", c.name, tail(w.t, c.log))
		}
	})
	return c
}

// until polls until is true; the end of the program fails the test.
func (c *child) until(what string, is func() bool) {
	c.t.Helper()
	c.eventually(c.name+" is "+what, func() bool {
		select {
		case <-c.done:
			if !is() { // it may have ended because it was done
				c.t.Fatalf("%s ended before it was %s", c.name, what)
			}
			return true
		default:
			return is()
		}
	})
}

// listens waits until the program takes connections at addr.
func (c *child) listens(addr string) {
	c.t.Helper()
	c.until("listening", func() bool {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(c.ctx, "tcp", addr)
		if err != nil {
			return false
		}
		_ = conn.Close()
		return true
	})
}

func tail(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-4<<10):])
}
