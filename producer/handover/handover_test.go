package handover_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"snapswarm/producer/handover"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tasks remembers what was shown.
type tasks struct {
	mu  sync.Mutex
	log []string
}

func (t *tasks) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log = append(t.log, fmt.Sprintf(format, args...))
}

func (t *tasks) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.log, ", ")
}

func (t *tasks) begin(label string, total int64) handover.Task {
	t.note("%s of %d", label, total)
	return task{t, label}
}

type task struct {
	all   *tasks
	label string
}

func (t task) Set(done int64) { t.all.note("%s at %d", t.label, done) }
func (t task) Done()          { t.all.note("%s done", t.label) }
func (t task) Cancel()        { t.all.note("%s canceled", t.label) }

// open runs a desk in dir until the end of the test.
func open(t *testing.T, dir string, work handover.Work) {
	t.Helper()
	desk, err := handover.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = desk.Run(ctx, work) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
}

// view shows into memory.
func view() (v handover.View, log *bytes.Buffer, shown *tasks) {
	log, shown = &bytes.Buffer{}, &tasks{}
	return handover.View{Log: slog.New(slog.NewTextHandler(log, nil)), Begin: shown.begin}, log, shown
}

func TestWorkIsShownToItsCallerAlone(t *testing.T) {
	dir := t.TempDir()
	var here bytes.Buffer
	log := slog.New(handover.Tap(slog.NewTextHandler(&here, nil))).With("channel", "chain").WithGroup("step")
	open(t, dir, func(ctx context.Context, request json.RawMessage) handover.Outcome {
		log.InfoContext(t.Context(), "something else happens")
		log.WarnContext(ctx, "half way", "n", 5, slog.Group("of", "m", 10))
		log.DebugContext(ctx, "details")
		task := handover.Follow(ctx, task{&tasks{}, "here"}, "pack", 100)
		task.Set(40)
		task.Done()
		handover.Follow(ctx, task, "upload", -1).Cancel()
		return handover.Outcome{Result: request}
	})
	v, shown, progress := view()
	got, err := handover.Call(t.Context(), dir, map[string]int{"answer": 42}, v)
	if err != nil || string(got.Result) != `{"answer":42}` || got.Error != "" || got.Exit != 0 {
		t.Errorf("Call = %s, %+v, %v", got.Result, got, err)
	}
	if line := shown.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, `level=WARN msg="half way" channel=chain step.n=5 step.of.m=10`) {
		t.Errorf("shown to the caller: %s", line)
	}
	if n := strings.Count(here.String(), "\n"); n != 2 || !strings.Contains(here.String(), "half way") {
		t.Errorf("logged here: %s", here.String())
	}
	if want := "pack of 100, pack at 0, pack at 40, pack at 40, pack done, upload of -1, upload at 0, upload at 0, upload canceled"; progress.String() != want {
		t.Errorf("progress is %q, want %q", progress, want)
	}
}

func TestFailuresComeBackAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, func(context.Context, json.RawMessage) handover.Outcome {
		return handover.Outcome{Error: "the source is gone", Exit: 3}
	})
	v, _, _ := view()
	if got, err := handover.Call(t.Context(), dir, 1, v); err != nil || got.Error != "the source is gone" || got.Exit != 3 {
		t.Errorf("Call = %+v, %v", got, err)
	}
}

func TestWhereNobodyTakesWork(t *testing.T) {
	dir := t.TempDir()
	v, _, _ := view()
	if _, err := handover.Call(t.Context(), dir, 1, v); !errors.Is(err, handover.ErrNobody) {
		t.Errorf("without a desk: %v, want ErrNobody", err)
	}
	leaveSocket(t, dir)
	if _, err := handover.Call(t.Context(), dir, 1, v); !errors.Is(err, handover.ErrNobody) {
		t.Errorf("with the desk of a dead process: %v, want ErrNobody", err)
	}
	open(t, dir, func(context.Context, json.RawMessage) handover.Outcome { return handover.Outcome{Exit: 7} })
	if got, err := handover.Call(t.Context(), dir, 1, v); err != nil || got.Exit != 7 {
		t.Errorf("with one that took its place: %+v, %v", got, err)
	}
}

// leaveSocket makes what a killed process leaves.
func leaveSocket(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, "desk"), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "desk", "socket"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLongPaths: the address of a socket has about a hundred bytes at most.
func TestLongPaths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	desk, err := handover.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		_ = desk.Run(ctx, func(context.Context, json.RawMessage) handover.Outcome { return handover.Outcome{Exit: 9} })
	})
	v, _, _ := view()
	if got, err := handover.Call(t.Context(), dir, 1, v); err != nil || got.Exit != 9 {
		t.Errorf("Call = %+v, %v", got, err)
	}
	cancel()
	running.Wait()
	if _, err := os.Lstat(filepath.Join(dir, "desk", "socket")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket stays: %v", err)
	}
}

func TestOthersCannotReachTheDesk(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "desk"), 0o755); err != nil { // by whoever
		t.Fatal(err)
	}
	open(t, dir, func(context.Context, json.RawMessage) handover.Outcome { return handover.Outcome{} })
	folder, err1 := os.Stat(filepath.Join(dir, "desk"))
	socket, err2 := os.Stat(filepath.Join(dir, "desk", "socket"))
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if folder.Mode().Perm() != 0o700 || socket.Mode().Perm() != 0o600 {
		t.Errorf("modes %v and %v, want 0700 and 0600", folder.Mode(), socket.Mode())
	}
}

// TestACallerThatGoesAwayCancels: with the cause of its context as the error, after the work has ended.
func TestACallerThatGoesAwayCancels(t *testing.T) {
	dir := t.TempDir()
	began, ended := make(chan struct{}), make(chan struct{})
	open(t, dir, func(ctx context.Context, _ json.RawMessage) handover.Outcome {
		close(began)
		<-ctx.Done()
		close(ended)
		return handover.Outcome{Error: "canceled", Exit: 130}
	})
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("Ctrl-C")
	go func() {
		<-began
		cancel(stop)
	}()
	v, _, _ := view()
	if _, err := handover.Call(ctx, dir, 1, v); !errors.Is(err, stop) {
		t.Errorf("Call = %v, want the cause", err)
	}
	select {
	case <-ended:
	default:
		t.Error("Call returned before the work had ended")
	}
}

func TestADeadCallerCancels(t *testing.T) {
	dir := t.TempDir()
	began, ended := make(chan struct{}), make(chan struct{})
	open(t, dir, func(ctx context.Context, _ json.RawMessage) handover.Outcome {
		close(began)
		<-ctx.Done()
		close(ended)
		return handover.Outcome{}
	})
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(dir, "desk", "socket"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("{}\n")); err != nil {
		t.Fatal(err)
	}
	<-began
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("the work goes on without its caller")
	}
}

// TestASlowCallerDelaysNothing: it reads nothing while far more is logged than sockets hold.
func TestASlowCallerDelaysNothing(t *testing.T) {
	dir := t.TempDir()
	logged := make(chan struct{})
	log := slog.New(handover.Tap(slog.DiscardHandler))
	open(t, dir, func(ctx context.Context, _ json.RawMessage) handover.Outcome {
		log = slog.New(handover.Tap(slog.NewTextHandler(&bytes.Buffer{}, nil)))
		for range 20_000 {
			log.InfoContext(ctx, strings.Repeat("long ", 50))
		}
		close(logged)
		return handover.Outcome{Exit: 5}
	})
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(dir, "desk", "socket"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("{}\n")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-logged:
	case <-time.After(time.Minute):
		t.Error("the work waits for its caller")
	}
}

func TestADeskThatGoesAway(t *testing.T) {
	dir := t.TempDir()
	l := filepath.Join(dir, "desk", "socket")
	if err := os.Mkdir(filepath.Dir(l), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]string{"without a word": "", "in the middle": `{"log":{"message":"x"}}` + "\n" + `{"outc`, "with nonsense": "hello\n"} {
		desk, err := net.ListenUnix("unix", &net.UnixAddr{Name: l, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		var dying sync.WaitGroup
		dying.Go(func() {
			if conn, err := desk.Accept(); err == nil {
				_, _ = conn.Read(make([]byte, 100))
				_, _ = conn.Write([]byte(answer))
				_ = conn.Close()
			}
		})
		v, _, _ := view()
		if _, err := handover.Call(t.Context(), dir, 1, v); err == nil || errors.Is(err, handover.ErrNobody) {
			t.Errorf("%s: %v, want an error of its own", name, err)
		}
		dying.Wait()
		_ = desk.Close()
	}
}
