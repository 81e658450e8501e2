//go:build e2e && linux

package publish_test

import (
	"fmt"
	"testing"

	"snapswarm/common/faultfs"
)

// TestAFailureAtAnyOperationOfTheDisk lets every operation that changes the disk fail once, in several ways, while a third snapshot
// is published over two others, of which the oldest has to go.
func TestAFailureAtAnyOperationOfTheDisk(t *testing.T) {
	d := newDiskBench(t, 2)
	ops := d.operations(t)
	for _, fault := range []faultfs.Fault{faultfs.IO, faultfs.Full, faultfs.Short, faultfs.Torn, faultfs.Unheard} {
		for _, op := range ops {
			if (op.N+int(fault))%every(2) != 0 || (fault == faultfs.Short || fault == faultfs.Torn) && op.Kind != faultfs.Write {
				continue
			}
			t.Run(fmt.Sprintf("%s at %s", fault, op), func(t *testing.T) { d.failAt(t, op.N, fault) })
		}
	}
}

func (d *diskBench) failAt(t *testing.T, n int, fault faultfs.Fault) {
	disk := d.begin(t)
	before := d.named()
	disk.Plan(faultfs.Nth(n, fault))
	rep, err := d.try()
	failed := disk.Failed()
	disk.Plan(nil)
	if len(failed) != 1 {
		t.Fatalf("%v failed, want one operation", failed)
	}
	now := d.named()
	if err == nil && (now != rep.InfoHash || now == before) {
		t.Errorf("%s failed, Publish says that it published %s, but the pointer names %s", failed[0], rep.InfoHash, now)
	}
	rec, _, _ := d.pointer()
	d.again(t, rec.Seq)
}
