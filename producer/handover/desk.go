package handover

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Work does what a request asks for. It ends soon after ctx does.
type Work func(ctx context.Context, request json.RawMessage) Outcome

// Desk takes requests from other processes of the same user.
type Desk struct {
	listener *net.UnixListener
	path     string
}

// Open makes the socket in dir, in the place of one that a dead process has left. Who calls it makes sure that there is one process
// for dir. The caller runs or closes the desk.
func Open(dir string) (*Desk, error) {
	path := socketPath(dir)
	private := filepath.Dir(path)
	if err := os.Mkdir(private, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("open desk: %w", err)
	}
	if err := os.Chmod(private, 0o700); err != nil {
		return nil, fmt.Errorf("open desk: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open desk: %w", err)
	}
	d := &Desk{path: path}
	err := withAddress(path, func(address string) (err error) {
		d.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: address, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open desk %s: %w", path, err)
	}
	d.listener.SetUnlinkOnClose(false) // its address may have been a short-lived one
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("open desk: %w", err), d.Close())
	}
	return d, nil
}

// Close ends a desk that does not run. A second time it does nothing.
func (d *Desk) Close() error {
	err := d.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	if gone := os.Remove(d.path); !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// Run takes requests until ctx ends, several at once, and returns when all work has ended and the desk is closed.
func (d *Desk) Run(ctx context.Context, work Work) (err error) {
	defer func() { err = errors.Join(err, d.Close()) }()
	var all sync.WaitGroup
	defer all.Wait()
	stop := context.AfterFunc(ctx, func() { _ = d.listener.Close() })
	defer stop()
	for {
		conn, err := d.listener.AcceptUnix() // ends when the listener is closed
		if ctx.Err() != nil {
			if err == nil {
				_ = conn.Close()
			}
			return context.Cause(ctx)
		}
		if err != nil { // such as too many open files
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		}
		all.Go(func() { talk(ctx, conn, work) })
	}
}

// talk serves one connection.
func talk(ctx context.Context, conn *net.UnixConn, work Work) {
	defer conn.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	_ = conn.SetReadDeadline(time.Now().Add(requestWithin))
	in := bufio.NewScanner(conn)
	in.Buffer(nil, maxLine)
	if !in.Scan() {
		return
	}
	request := json.RawMessage(append([]byte(nil), in.Bytes()...))
	_ = conn.SetReadDeadline(time.Time{})
	var reading sync.WaitGroup
	reading.Go(func() {
		in.Scan() // returns at the end of the connection, or of the caller's side of it
		cancel(errGone)
	})
	c := newCaller(conn)
	outcome := work(context.WithValue(ctx, callerKey{}, c), request)
	c.finish(outcome)
	_ = conn.Close()
	reading.Wait()
}

// caller is the other end of a connection. A goroutine of its own writes to it, so that slow callers delay nothing.
type caller struct {
	conn   *net.UnixConn
	events chan event
	sent   chan struct{} // closed when all events are

	mu       sync.Mutex
	finished bool // guarded by mu: nothing may be sent to events any more
	tasks    int  // guarded by mu: how many there have been
}

type callerKey struct{}

func newCaller(conn *net.UnixConn) *caller {
	c := &caller{conn: conn, events: make(chan event, 256), sent: make(chan struct{})}
	go c.write()
	return c
}

// callerOf is who shall see what happens in ctx, nil for nobody.
func callerOf(ctx context.Context) *caller {
	c, _ := ctx.Value(callerKey{}).(*caller)
	return c
}

func (c *caller) write() {
	defer close(c.sent)
	broken := false
	for e := range c.events {
		b, err := json.Marshal(e)
		if err != nil || broken {
			continue
		}
		_ = c.conn.SetWriteDeadline(time.Now().Add(writeWithin))
		_, err = c.conn.Write(append(b, '\n'))
		broken = err != nil
	}
}

// show sends an event if there is room.
func (c *caller) show(e event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.finished {
		return
	}
	select {
	case c.events <- e:
	default:
	}
}

// finish sends the outcome and waits until it is out.
func (c *caller) finish(o Outcome) {
	c.mu.Lock()
	c.finished = true
	c.mu.Unlock()
	c.events <- event{Outcome: &o}
	close(c.events)
	<-c.sent
}

func (c *caller) newTask() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tasks++
	return c.tasks
}
