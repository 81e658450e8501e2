package bucket

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"syscall"
	"time"
)

// tempDir holds files that are being written. Keys cannot begin with a dot, so it collides with none.
const tempDir = ".tmp"

// tempAge is when a file in tempDir must be the rest of a crashed process.
const tempAge = 24 * time.Hour

// The web server that makes the directory public runs as somebody else; so the umask is overruled.
const (
	filePerm = 0o644
	dirPerm  = 0o755
)

// dirStore is a [Store] in a directory that some web server makes public. Every path is resolved below root, whatever
// links lie there. All fields are set once.
type dirStore struct {
	root    *os.Root
	path    string
	metrics *metrics
}

func openDir(dir string) (Store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: bucket file://%s: %w; create the directory first", ErrBadConfig, dir, err)
	}
	m, err := newMetrics()
	if err != nil {
		return nil, fmt.Errorf("make instruments: %w", err)
	}
	d := &dirStore{root: root, path: dir, metrics: m}
	d.removeOldTemps()
	return d, nil
}

// removeOldTemps is a courtesy at start; what it cannot remove does no harm.
func (d *dirStore) removeOldTemps() {
	entries, _ := fs.ReadDir(d.root.FS(), tempDir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > tempAge {
			_ = d.root.Remove(tempDir + "/" + e.Name())
		}
	}
}

func (d *dirStore) String() string { return "file://" + d.path }

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
			return d.syncDir(path.Dir(key))
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

// Get implements [Store].
func (d *dirStore) Get(ctx context.Context, key string, limit int64) (body []byte, err error) {
	defer d.settle(ctx, "get", key, time.Now(), &err)
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	f, err := d.root.Open(key)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, info.Size(), limit)
	}
	return readLimited(f, limit)
}

// Stat implements [Store].
func (d *dirStore) Stat(ctx context.Context, key string) (_ Info, err error) {
	defer d.settle(ctx, "stat", key, time.Now(), &err)
	if err := CheckKey(key); err != nil {
		return Info{}, err
	}
	info, err := d.root.Stat(key)
	if err != nil {
		return Info{}, err
	}
	if !info.Mode().IsRegular() {
		return Info{}, fs.ErrNotExist
	}
	return describe(key, info), nil
}

func describe(key string, info fs.FileInfo) Info {
	etag := fmt.Sprintf("%x-%x", info.ModTime().UnixNano(), info.Size())
	return Info{Key: key, Size: info.Size(), ETag: etag, Modified: info.ModTime()}
}

// List implements [Store].
func (d *dirStore) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		more := true
		err := d.walk(ctx, prefix, func(info Info) error {
			if more = yield(info, nil); !more {
				return fs.SkipAll
			}
			return nil
		})
		d.settle(ctx, "list", prefix, time.Now(), &err)
		if err != nil && more {
			yield(Info{}, err)
		}
	}
}

func (d *dirStore) walk(ctx context.Context, prefix string, visit func(Info) error) error {
	start := "."
	if dir, _, found := cutLast(prefix, "/"); found {
		if !validKey(dir) {
			return nil // nothing can have such a name
		}
		start = dir
	}
	return fs.WalkDir(d.root.FS(), start, func(name string, e fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			return unlessMissing(err) // nothing under this prefix, or removed meanwhile
		case name == tempDir:
			return fs.SkipDir
		case !e.Type().IsRegular() || !strings.HasPrefix(name, prefix) || !validKey(name):
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return unlessMissing(err)
		}
		return visit(describe(name, info))
	})
}

func validKey(key string) bool { return CheckKey(key) == nil }

// unlessMissing forgets that a file or folder does not exist.
func unlessMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// Delete implements [Store]. Folders that become empty go too.
func (d *dirStore) Delete(ctx context.Context, key string) (err error) {
	defer d.settle(ctx, "delete", key, time.Now(), &err)
	if err := CheckKey(key); err != nil {
		return err
	}
	err = d.root.Remove(key)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	dir := path.Dir(key)
	for dir != "." && d.root.Remove(dir) == nil {
		dir = path.Dir(dir)
	}
	return unlessMissing(d.syncDir(dir)) // another Delete may have removed the folder
}

// Check implements [Store].
func (d *dirStore) Check(ctx context.Context) (err error) {
	defer d.settle(ctx, "check", "", time.Now(), &err)
	if err := d.mkdirAll(tempDir); err != nil {
		return err
	}
	temp := tempDir + "/" + rand.Text()
	if err := d.write(ctx, temp, strings.NewReader("?"), 1, newProgress(nil)); err != nil {
		return err
	}
	return d.root.Remove(temp)
}

// settle turns the error of an operation into an [*Error] and counts it.
func (d *dirStore) settle(ctx context.Context, op, key string, begin time.Time, err *error) {
	*err = d.explain(ctx, op, key, *err)
	d.metrics.request(ctx, op, begin, *err)
}

func (d *dirStore) explain(ctx context.Context, op, key string, err error) error {
	var source sourceError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &source):
		return fmt.Errorf("%s %s: %w", op, key, err)
	}
	e := &Error{Op: op, Key: key, Store: d.String(), Err: err}
	switch {
	case errors.Is(err, ErrBadKey):
		e.Kind, e.Key = ErrBadKey, "" // the cause names it, safely quoted
	case errors.Is(err, ErrTooLarge):
		e.Kind = ErrTooLarge
	case errors.Is(err, fs.ErrPermission):
		e.Kind, e.Hint = ErrDenied, "give this user the right to it"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Hint = "free some space"
	case op != "put" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)):
		e.Kind = ErrNotFound
	}
	return e
}
