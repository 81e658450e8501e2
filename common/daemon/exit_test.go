package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"snapswarm/common/daemon"
)

func TestExitOf(t *testing.T) {
	stale := daemon.WithCode(daemon.ExitStale, errors.New("expired"))
	for _, tc := range []struct {
		name string
		err  error
		want daemon.Exit
	}{
		{"nil", nil, 0},
		{"any error", errors.New("x"), 1},
		{"usage", daemon.Usagef("no %s", "key"), 2},
		{"code below a wrap", fmt.Errorf("mirror daily: %w", stale), 12},
		{"outermost code wins", daemon.WithCode(daemon.ExitNoData, stale), 20},
		{"code among joined errors", errors.Join(errors.New("x"), stale), 12},
		{"full disk", &os.PathError{Op: "write", Path: "f", Err: syscall.ENOSPC}, 30},
		{"read-only disk", fmt.Errorf("write: %w", syscall.EROFS), 30},
		{"a code beats the disk", daemon.WithCode(daemon.ExitSource, fmt.Errorf("read: %w", syscall.EIO)), 3},
		{"cancelled without a signal", context.Canceled, 1},
	} {
		if got := daemon.ExitOf(tc.err); got != tc.want {
			t.Errorf("%s: ExitOf(%v) = %d, want %d", tc.name, tc.err, got, tc.want)
		}
	}
	if err := daemon.WithCode(daemon.ExitDisk, nil); err != nil {
		t.Errorf("WithCode of nil = %v", err)
	}
	if !errors.Is(daemon.WithCode(3, os.ErrNotExist), os.ErrNotExist) {
		t.Error("WithCode hides the chain of its error")
	}
}

func TestGracefulKeepsRealErrors(t *testing.T) {
	signalled, cancel := context.WithCancelCause(t.Context())
	cancel(daemon.Interrupt{Signal: "SIGINT"})
	cancelled, stop := context.WithCancel(t.Context())
	stop()
	disk := errors.New("disk is broken")
	for _, tc := range []struct {
		name      string
		ctx       context.Context
		err, want error
	}{
		{"stopped as asked", signalled, fmt.Errorf("run: %w", context.Canceled), nil},
		{"the cause itself", signalled, context.Cause(signalled), nil},
		{"failed while stopping", signalled, disk, disk},
		{"cancelled by something else", cancelled, context.Canceled, context.Canceled},
	} {
		if got := daemon.Graceful(tc.ctx, tc.err); !errors.Is(got, tc.want) || (got == nil) != (tc.want == nil) {
			t.Errorf("%s: Graceful = %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestExitTableHasEveryCode(t *testing.T) {
	table := daemon.ExitTable()
	for _, code := range []int{0, 1, 2, 3, 4, 5, 10, 11, 12, 20, 21, 30, 31, 130} {
		if !strings.Contains(table, fmt.Sprintf("| %d | %v |\n", code, daemon.Exit(code))) {
			t.Errorf("exit code %d is missing from:\n%s", code, table)
		}
	}
}
