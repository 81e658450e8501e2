//go:build e2e && linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"time"

	"snapswarm/common/daemon"
	"snapswarm/common/faultfs"
)

// TestAFailureAtAnyOperationOfTheDisk lets every operation that changes the disk fail once, in several ways, while a mirror gets a
// second version. It succeeds all the same, or says that the disk is at fault; what it has is right; and the next run completes.
func TestAFailureAtAnyOperationOfTheDisk(t *testing.T) {
	parallel(t, func(*testing.T, *diskBed) {}, func(t *testing.T, d *diskBed, op faultfs.Op) {
		for i, fault := range []faultfs.Fault{faultfs.IO, faultfs.Full, faultfs.Unheard, faultfs.Short, faultfs.Torn} {
			if op.Kind != faultfs.Write && (fault == faultfs.Short || fault == faultfs.Torn) || (i+op.N/workers)%every(2) != 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s at %s", fault, op), func(t *testing.T) { d.failAt(t, op.N, fault) })
		}
	})
}

func (d *diskBed) failAt(t *testing.T, n int, fault faultfs.Fault) {
	disk := d.begin(t)
	disk.Plan(faultfs.Nth(n, fault))
	code, stdout, stderr := d.once(t)
	disk.Plan(nil)
	switch code {
	case daemon.ExitOK:
		wantOnly(t, stdout, d.two.archive)
	case daemon.ExitDisk:
	default:
		t.Errorf("%v failed: exit code %d, want %d: %s", disk.Failed(), code, daemon.ExitDisk, stderr)
	}
	d.check(t)
	d.again(t)
}

// TestADaemonGoesOnAfterAFailureOfTheDisk lets operations fail once under a mirror that runs on. It completes the second version by
// itself; where it cannot even start, it ends and the next start does.
func TestADaemonGoesOnAfterAFailureOfTheDisk(t *testing.T) {
	parallel(t, func(*testing.T, *diskBed) {}, func(t *testing.T, d *diskBed, op faultfs.Op) {
		if (op.N/workers)%every(3) != 0 {
			return
		}
		fault := []faultfs.Fault{faultfs.IO, faultfs.Full, faultfs.Unheard}[op.N%3]
		t.Run(fmt.Sprintf("%s at %s", fault, op), func(t *testing.T) {
			disk := d.begin(t)
			disk.Plan(faultfs.Nth(op.N, fault))
			if code := d.follow(t); code == daemon.ExitDisk || code == daemon.ExitOther {
				t.Logf("it did not start: exit code %d", code)
				code = d.follow(t)
				if code != daemon.ExitOK {
					t.Errorf("the next start: exit code %d", code)
				}
			} else if code != daemon.ExitOK {
				t.Errorf("exit code %d", code)
			}
			disk.Plan(nil)
			d.check(t)
			d.again(t)
		})
	})
}

// follow runs a daemon until it has the second version and has removed the first, or ends.
func (d *diskBed) follow(t *testing.T) daemon.Exit {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	ended := make(chan daemon.Exit, 1)
	text := make(chan string, 1)
	go func() {
		code, _, stderr := mirror(ctx, d.args(d.data, "--retain", "0", "--poll-interval", "1s"))
		text <- stderr
		ended <- code
	}()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		_, err := os.Stat(d.path(d.one, ""))
		if errors.Is(err, fs.ErrNotExist) && d.whole(d.two) {
			cancel(daemon.Interrupt{Signal: "SIGTERM"})
			t.Log(<-text)
			return <-ended
		}
		if time.Now().After(deadline) {
			cancel(daemon.Interrupt{Signal: "SIGTERM"})
			t.Fatalf("it does not complete: %s", <-text)
		}
		select {
		case code := <-ended:
			t.Log(<-text)
			return code
		default:
		}
	}
}
