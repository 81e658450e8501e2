package bucket

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// Put implements [Store].
func (d *dirStore) Put(ctx context.Context, key string, body io.ReaderAt, size int64, o PutOptions) error {
	return d.publish(ctx, key, func(temp string) error {
		return d.write(ctx, temp, io.NewSectionReader(body, 0, size), size, newProgress(o.Progress))
	})
}

// PutFile implements [Store].
func (d *dirStore) PutFile(ctx context.Context, key, path string, o PutOptions) error {
	f, size, err := openSource(path)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	defer f.Close()
	return d.publish(ctx, key, func(temp string) error {
		if d.link(f, temp) == nil {
			newProgress(o.Progress).add(size)
			return nil
		}
		return d.write(ctx, temp, f, size, newProgress(o.Progress))
	})
}

// link makes temp another name of the open file. It fails across file systems, and then nothing has changed.
func (d *dirStore) link(f *os.File, temp string) error {
	if err := os.Link(f.Name(), d.path+"/"+temp); err != nil {
		return err
	}
	err := d.sameFile(f, temp)
	if err == nil {
		err = errors.Join(d.root.Chmod(temp, filePerm), f.Sync())
	}
	if err != nil {
		err = errors.Join(err, d.root.Remove(temp))
	}
	return err
}

// sameFile makes sure that the path still names the file that was opened and measured.
func (d *dirStore) sameFile(f *os.File, temp string) error {
	opened, err1 := f.Stat()
	linked, err2 := d.root.Lstat(temp)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if !os.SameFile(opened, linked) {
		return fmt.Errorf("%s was replaced meanwhile", f.Name())
	}
	return nil
}

// write makes temp a durable copy of src, which must have exactly size bytes.
func (d *dirStore) write(ctx context.Context, temp string, src io.Reader, size int64, p *progress) (err error) {
	f, err := d.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, filePerm)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Chmod(filePerm); err != nil {
		return err
	}
	for left := size; left > 0; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := io.CopyN(f, src, min(left, 16<<20)) // of a file: copied by the kernel
		p.add(n)
		d.metrics.sent.Add(ctx, n)
		left -= n
		if errors.Is(err, io.EOF) {
			return sourceError{fmt.Errorf("the last %d bytes are missing: %w", left, io.ErrUnexpectedEOF)}
		}
		if err != nil {
			return err
		}
	}
	return f.Sync()
}

// publish lets fill make a temporary file and then gives it the name key, durably.
func (d *dirStore) publish(ctx context.Context, key string, fill func(temp string) error) (err error) {
	defer d.settle(ctx, "put", key, time.Now(), &err)
	if err := CheckKey(key); err != nil {
		return err
	}
	temp := tempDir + "/" + rand.Text()
	if err := d.mkdirAll(tempDir); err != nil {
		return err
	}
	if unlock := d.lockTemps(unix.LOCK_SH); unlock != nil { // some file systems cannot, and there nobody can lock alone
		defer unlock()
	}
	// After the rename nothing is there, except when temp and key were links to one file: rename(2) then does nothing.
	defer func() { _ = d.root.Remove(temp) }()
	if err := fill(temp); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return d.rename(temp, key)
}

// rename repeats, because a Delete may remove the folder as empty between its making and its use.
func (d *dirStore) rename(temp, key string) error {
	for attempt := 1; ; attempt++ {
		if err := d.mkdirAll(path.Dir(key)); err != nil {
			return err
		}
		err := d.root.Rename(temp, key)
		if err == nil {
			return unlessMissing(d.syncDir(path.Dir(key))) // a Delete may have removed object and folder already
		}
		if !errors.Is(err, fs.ErrNotExist) || attempt == 5 {
			return err
		}
	}
}

// mkdirAll makes dir and its parents; the entries of new ones are durable.
func (d *dirStore) mkdirAll(dir string) error {
	if dir == "." {
		return nil
	}
	err := d.mkdir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err := d.mkdirAll(path.Dir(dir)); err != nil {
			return err
		}
		err = d.mkdir(dir)
	}
	return err
}

func (d *dirStore) mkdir(dir string) error {
	err := d.root.Mkdir(dir, dirPerm)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.root.Chmod(dir, dirPerm), d.syncDir(path.Dir(dir)))
}

func (d *dirStore) syncDir(dir string) error {
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
