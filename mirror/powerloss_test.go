//go:build e2e && linux

package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"snapswarm/common/daemon"
	"snapswarm/common/faultfs"
)

// TestAPowerCutBeforeAnyOperationOfTheDisk switches the power off before every operation that changes the disk, while a mirror gets
// a second version from its beginning or goes on with a half of it, and looks at what the next start makes of the possible rests.
func TestAPowerCutBeforeAnyOperationOfTheDisk(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *diskBed){
		"from a half":        getHalf,
		"from the beginning": func(*testing.T, *diskBed) {},
	} {
		t.Run(name, func(t *testing.T) { parallel(t, prepare, cutBefore) })
	}
}

// getHalf is interrupted with some pieces of the second version on the disk.
func getHalf(t *testing.T, d *diskBed) {
	t.Helper()
	d.limit.Store(d.served.Load() + int64(len(d.two.archive))/2)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		for d.served.Load() < d.limit.Load() && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		cancel(daemon.Interrupt{Signal: "SIGTERM"})
	}()
	if code, _, stderr := mirror(ctx, d.args(d.data, "--once", "--retain", "0")); code != daemon.ExitInterrupted {
		t.Fatalf("interrupted: exit code %d: %s", code, stderr)
	}
	d.limit.Store(1 << 40)
	d.settle()
}

func cutBefore(t *testing.T, d *diskBed, op faultfs.Op) {
	disk := d.begin(t)
	disk.Plan(faultfs.Nth(op.N, faultfs.Cut))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if code, _, _ := mirror(ctx, d.args(d.data, "--once", "--retain", "0", "--stall-timeout", "20s")); code == daemon.ExitOK {
		t.Errorf("the power went before %s, and the mirror says that it is done", op)
	}
	for i, o := range []faultfs.Outcome{
		{Names: faultfs.Kept, Data: faultfs.Lost},
		{Names: faultfs.Mixed, Data: faultfs.Mixed, Seed: 1},
		{Names: faultfs.Lost, Data: faultfs.Lost},
		{Names: faultfs.Mixed, Data: faultfs.Mixed, Seed: 2},
	} {
		if (i+op.N/workers)%every(2) != 0 {
			continue
		}
		t.Run(fmt.Sprintf("%s, names %s, data %s %d", op, o.Names, o.Data, o.Seed), func(t *testing.T) {
			d.mount.Insert(disk.PowerCut(o))
			d.check(t)
			d.again(t)
		})
	}
}
