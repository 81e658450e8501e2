package bucket

import (
	"bytes"
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// lockName is a file in tempDir that conditional puts of all processes lock. It is never removed: two processes would
	// then lock two different files. flock(2) excludes other machines, too, on NFS and other file systems that pass it on.
	lockName = "lock"
	// lockPoll is how often a lock that is taken is tried again. It is held for some milliseconds.
	lockPoll = 5 * time.Millisecond
)

// PutIf implements [Store].
func (d *dirStore) PutIf(ctx context.Context, key string, body []byte, was string, o PutOptions) (string, error) {
	unlock, err := d.lock(ctx, key)
	if err != nil {
		return "", err
	}
	defer unlock()
	now, err := d.Stat(ctx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	if now.ETag != was {
		if found, err := d.Find(ctx, key, int64(len(body))); err == nil && bytes.Equal(found.Body, body) {
			return found.ETag, nil
		}
		return "", &Error{Op: "put", Key: key, Store: d.String(), Kind: ErrPrecondition}
	}
	err = d.publish(ctx, key, func(temp string) error {
		if err := d.write(ctx, temp, bytes.NewReader(body), int64(len(body)), newProgress(o.Progress)); err != nil {
			return err
		}
		return d.later(temp, now.Modified)
	})
	if err != nil {
		return "", err
	}
	now, err = d.Stat(ctx, key)
	return now.ETag, err
}

// later gives temp a modification time after that of what it replaces. The kernel's clock ticks every few milliseconds, and
// an ETag must not come back within one tick.
func (d *dirStore) later(temp string, before time.Time) error {
	info, err := d.root.Stat(temp)
	if err != nil || info.ModTime().After(before) || before.Sub(info.ModTime()) > time.Second {
		return err
	}
	next := before.Add(time.Microsecond) // file systems may not keep nanoseconds
	return d.root.Chtimes(temp, next, next)
}

// lock keeps other conditional puts out, those of other processes too, until unlock is called.
func (d *dirStore) lock(ctx context.Context, key string) (unlock func(), err error) {
	defer d.settle(ctx, "lock", key, time.Now(), &err)
	if err := d.mkdirAll(tempDir); err != nil {
		return nil, err
	}
	f, err := d.root.OpenFile(tempDir+"/"+lockName, os.O_RDWR|os.O_CREATE, filePerm)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(err, f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), f.Close())
		case <-time.After(lockPoll):
		}
	}
}
