//go:build e2e && linux

package publish_test

import (
	"fmt"
	"testing"
	"time"

	"snapswarm/common/faultfs"
)

// TestAPowerCutBeforeAnyOperationOfTheDisk switches the power off before every operation that changes the disk, and looks at what a
// publisher makes of the possible rests: whatever was not fsynced may be lost or kept, names apart from bytes.
func TestAPowerCutBeforeAnyOperationOfTheDisk(t *testing.T) {
	outcomes := []faultfs.Outcome{
		{Names: faultfs.Lost, Data: faultfs.Lost},
		{Names: faultfs.Kept, Data: faultfs.Lost},
		{Names: faultfs.Mixed, Data: faultfs.Mixed, Seed: 1},
		{Names: faultfs.Mixed, Data: faultfs.Mixed, Seed: 2},
	}
	for _, snapshots := range []int{0, 2} {
		d := newDiskBench(t, snapshots)
		for _, op := range d.operations(t) {
			d.t = t
			cut := d.cutBefore(t, op.N)
			for i, o := range outcomes {
				if (op.N+i)%every(3) != 0 {
					continue
				}
				t.Run(fmt.Sprintf("%d snapshots, %s, names %s, data %s %d", snapshots, op, o.Names, o.Data, o.Seed), func(t *testing.T) {
					d.reboot(t, cut, o)
				})
			}
		}
	}
}

// afterCut is what a power cut left of a publication.
type afterCut struct {
	disk *faultfs.Disk
	seq  int64 // the highest that anybody can have seen
}

func (d *diskBench) cutBefore(t *testing.T, n int) afterCut {
	t.Helper()
	disk := d.begin(t)
	disk.Plan(faultfs.Nth(n, faultfs.Cut))
	_, err := d.try()
	if err == nil {
		t.Errorf("the power went before operation %d of the disk, and Publish says that it published", n)
	}
	// What readers saw last, who read all that was written, durable or not.
	d.mount.Insert(disk.PowerCut(faultfs.Outcome{Names: faultfs.Kept, Data: faultfs.Kept}))
	cut := afterCut{disk: disk}
	if rec, _, ok := d.pointer(); ok {
		cut.seq = rec.Seq
	}
	for _, rec := range d.net.announced {
		cut.seq = max(cut.seq, rec.Seq)
	}
	return cut
}

func (d *diskBench) reboot(t *testing.T, cut afterCut, o faultfs.Outcome) {
	d.t = t
	d.mount.Insert(cut.disk.PowerCut(o))
	d.named()
	// The clock has lost its battery, and the DHT has forgotten: all there is lies on the disk.
	d.clock.now = d.now.Add(-time.Hour)
	d.net = &network{}
	d.cfg.Network = d.net
	d.again(t, cut.seq)
}
