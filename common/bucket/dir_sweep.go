package bucket

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// Sweep implements [Store]. Temporary files belong to no key, and nothing is ever continued from one: all go of which no
// living process can be the writer.
func (d *dirStore) Sweep(ctx context.Context, _ string, _ ...string) (sum Swept, err error) {
	defer d.settle(ctx, "sweep", "", time.Now(), &err)
	unlock := d.lockTemps(unix.LOCK_EX | unix.LOCK_NB)
	if unlock == nil {
		return sum, nil // somebody writes; what is old goes when the directory is opened
	}
	defer unlock()
	entries, err := fs.ReadDir(d.root.FS(), tempDir)
	if err != nil {
		return sum, unlessMissing(err)
	}
	var errs []error
	for _, e := range entries {
		if e.Name() == lockName {
			continue
		}
		info, err := e.Info()
		if err == nil {
			err = d.root.Remove(tempDir + "/" + e.Name())
		}
		if err != nil {
			errs = append(errs, unlessMissing(err))
			continue
		}
		sum.Uploads++
		sum.Bytes += info.Size()
	}
	return sum, errors.Join(errs...)
}

// lockTemps locks the folder of temporary files: shared by those who write one, alone by who removes them. It returns
// what unlocks it, nil if the lock cannot be had.
func (d *dirStore) lockTemps(how int) (unlock func()) {
	f, err := d.root.Open(tempDir)
	if err != nil {
		return nil
	}
	for {
		err = unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		return nil
	}
	return func() { _ = f.Close() } // which unlocks
}
