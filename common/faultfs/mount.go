//go:build linux

package faultfs

import (
	"os/exec"
	"runtime"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"

	"snapswarm/common/needs"
)

// Mounted is a mount point with a disk behind it.
type Mounted struct {
	// Dir is the mount point. Programs should be given folders in it and not itself: the kernel knows the uppermost folder of each
	// disk by the same number, so that somebody who has it open gets from one disk to the next.
	Dir    string
	bridge *bridge
}

// Mount makes a mount point with an empty disk for the time of the test. Whoever may not mount skips the test, see package needs.
// Everything in it must be closed at the end of the test. However the process ends, the mount goes.
func Mount(tb testing.TB) *Mounted {
	tb.Helper()
	m := &Mounted{Dir: tb.TempDir(), bridge: newBridge()}
	release := guard(tb, m.Dir)
	server, err := fuse.NewServer(m.bridge, m.Dir, &fuse.MountOptions{
		FsName: "snapswarm-test", Name: "faultfs", DirectMount: true, DisableXAttrs: true, DisableReadDirPlus: true,
	})
	if err != nil {
		release()
		needs.Missing(tb, "FUSE", "run where /dev/fuse is, as root or with fusermount3 ("+err.Error()+")")
	}
	go server.Serve()
	tb.Cleanup(func() {
		defer release()
		if err := unmount(server); err != nil {
			tb.Errorf("unmount %s, where something is still open: %v", m.Dir, err)
		}
	})
	if err := server.WaitMount(); err != nil {
		tb.Fatalf("mount %s: %v", m.Dir, err)
	}
	return m
}

// unmount waits for the files that nobody closed and nobody uses any more: they are closed when they are collected.
func unmount(server *fuse.Server) (err error) {
	for range 5 {
		runtime.GC()
		if err = server.Unmount(); err == nil {
			return nil
		}
	}
	return err
}

// Insert puts another disk behind the mount point. Whatever is open on the one before cannot be used any more.
func (m *Mounted) Insert(d *Disk) { m.bridge.insert(d) }

// Disk is the one that is inserted.
func (m *Mounted) Disk() *Disk { return m.bridge.inserted() }

// guard unmounts dir when release is called, and also when this process dies before: a helper process waits for the end of its
// input. It does so lazily, so that nothing that is still open can keep the mount.
func guard(tb testing.TB, dir string) (release func()) {
	tb.Helper()
	const script = `trap "" INT TERM HUP; read x; umount -l "$0" || fusermount3 -u -z "$0"`
	cmd := exec.Command("sh", "-c", script, dir) //nolint:noctx // it has to outlive everything here
	input, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		needs.Missing(tb, "sh", err.Error())
	}
	return func() {
		_ = input.Close()
		_ = cmd.Wait() // it complains when there is nothing to unmount any more
	}
}
