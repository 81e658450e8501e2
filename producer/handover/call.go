package handover

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"
)

// View is where a caller shows what happens elsewhere.
type View struct {
	// Log gets the log lines.
	Log *slog.Logger
	// Begin shows a task of total bytes, -1 when that is unknown.
	Begin func(label string, total int64) Task
}

// Call gives request to the desk in dir and returns how the work ended. [ErrNobody] means that there is no desk. When ctx ends,
// the work is cancelled, and so that the next call need not wait for it, this one waits for some seconds until it has ended; the error
// is the cause of ctx then, except for work that had just succeeded.
func Call(ctx context.Context, dir string, request any, v View) (Outcome, error) {
	b, err := json.Marshal(request)
	if err != nil {
		return Outcome{}, fmt.Errorf("hand over: %w", err)
	}
	conn, err := dial(socketPath(dir))
	if err != nil {
		return Outcome{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() {
		_ = conn.CloseWrite()
		_ = conn.SetReadDeadline(time.Now().Add(cancelWithin))
	})
	defer stop()
	if _, err := conn.Write(append(b, '\n')); err != nil {
		return Outcome{}, fmt.Errorf("hand over: %w", err)
	}
	outcome, err := (&viewer{View: v, tasks: make(map[int]Task)}).follow(conn)
	if ctx.Err() != nil && (err != nil || outcome.Error != "") {
		return Outcome{}, context.Cause(ctx)
	}
	return outcome, err
}

func dial(path string) (conn *net.UnixConn, err error) {
	err = withAddress(path, func(address string) (err error) {
		conn, err = net.DialUnix("unix", nil, &net.UnixAddr{Name: address, Net: "unix"})
		return err
	})
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("hand over: %w", ErrNobody)
	}
	if err != nil {
		return nil, fmt.Errorf("hand over: %w", err)
	}
	return conn, nil
}

// viewer shows the events of one call. One goroutine owns it.
type viewer struct {
	View
	tasks map[int]Task
}

// follow shows events until the outcome.
func (v *viewer) follow(r io.Reader) (Outcome, error) {
	defer func() {
		for _, t := range v.tasks {
			t.Cancel()
		}
	}()
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	for in.Scan() {
		var e event
		if err := json.Unmarshal(in.Bytes(), &e); err != nil {
			return Outcome{}, fmt.Errorf("hand over: the other process speaks another language; is it of this version? %w", err)
		}
		switch {
		case e.Outcome != nil:
			return *e.Outcome, nil
		case e.Log != nil:
			v.log(*e.Log)
		case e.Task != nil:
			v.show(*e.Task)
		}
	}
	return Outcome{}, fmt.Errorf("hand over: the other process has gone before the work was done: %w",
		errors.Join(in.Err(), io.ErrUnexpectedEOF))
}

func (v *viewer) log(l line) {
	ctx := context.Background()
	if !v.Log.Enabled(ctx, l.Level) {
		return
	}
	r := slog.NewRecord(l.Time, l.Level, l.Message, 0)
	for _, a := range l.Attrs {
		r.AddAttrs(slog.String(a[0], a[1]))
	}
	_ = v.Log.Handler().Handle(ctx, r)
}

func (v *viewer) show(p progress) {
	task, ok := v.tasks[p.ID]
	if !ok && p.State == stateUnderWay {
		task = v.Begin(p.Label, p.Total)
		v.tasks[p.ID] = task
	}
	if task == nil {
		return
	}
	task.Set(p.Done)
	switch p.State {
	case stateDone:
		task.Done()
		delete(v.tasks, p.ID)
	case stateCanceled:
		task.Cancel()
		delete(v.tasks, p.ID)
	}
}
