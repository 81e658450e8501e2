package bucket

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"snapswarm/common/durable"
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
		if info, err := e.Info(); err == nil && e.Name() != lockName && time.Since(info.ModTime()) > tempAge {
			_ = d.root.Remove(tempDir + "/" + e.Name())
		}
	}
}

func (d *dirStore) String() string { return "file://" + d.path }

// Get implements [Store].
func (d *dirStore) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	found, err := d.Find(ctx, key, limit)
	return found.Body, err
}

// Find implements [Store].
func (d *dirStore) Find(ctx context.Context, key string, limit int64) (_ Found, err error) {
	defer d.settle(ctx, "get", key, time.Now(), &err)
	if err := CheckKey(key); err != nil {
		return Found{}, err
	}
	f, err := d.root.Open(key)
	if err != nil {
		return Found{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Found{}, err
	}
	if !info.Mode().IsRegular() {
		return Found{}, fs.ErrNotExist
	}
	if info.Size() > limit {
		return Found{}, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, info.Size(), limit)
	}
	body, err := readLimited(f, limit)
	if err != nil {
		return Found{}, err
	}
	return Found{Info: describe(key, info), Body: body, Asked: time.Now()}, nil
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
	err = d.write(ctx, temp, strings.NewReader("?"), 1, newProgress(nil))
	if removed := unlessMissing(d.root.Remove(temp)); err == nil {
		err = removed
	}
	return err
}

// settle turns the error of an operation into an [*Error] and counts it.
func (d *dirStore) settle(ctx context.Context, op, key string, begin time.Time, err *error) {
	*err = d.explain(ctx, op, key, *err)
	d.metrics.request(ctx, op, begin, *err)
}

func (d *dirStore) explain(ctx context.Context, op, key string, err error) error {
	if own, ok := callersOwn(ctx, op, key, err); ok {
		return own
	}
	e := &Error{Op: op, Key: key, Store: d.String(), Err: err}
	switch {
	case errors.Is(err, ErrBadKey):
		e.Kind, e.Key = ErrBadKey, "" // the cause names it, safely quoted
	case errors.Is(err, ErrTooLarge):
		e.Kind = ErrTooLarge
	case errors.Is(err, ErrPrecondition):
		e.Kind = ErrPrecondition
	case errors.Is(err, fs.ErrPermission):
		e.Kind, e.Hint = ErrDenied, "give this user the right to it"
	case errors.Is(err, syscall.EROFS):
		e.Kind, e.Hint = ErrDenied, "make it writable, or choose another BUCKET"
	case durable.IsFull(err):
		e.Hint = "free some space"
	case op != "put" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)):
		e.Kind = ErrNotFound
	}
	return e
}
