package archive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
)

// Read-ahead of a tree. On a disk that takes 0.1 ms per open, one file after another of 4 KiB would come at 40 MB/s; the
// openers work on the next files while the encoders are fed with the present one.
const (
	smallFile = 128 << 10 // read whole by an opener; larger files are only opened by it
	openers   = 8
	aheadMax  = 64 // entries, and thus open files
	aheadBufs = 48 // small files in memory: 6 MiB
)

// aheadItem is an entry on its way to the reader. The opener fills in the rest before it closes ready.
type aheadItem struct {
	entry treeEntry
	dir   *sharedDir
	buf   []byte // for a small file
	ready chan struct{}

	head []byte
	data []byte      // content of a small file
	file *fileReader // a large one, open
	err  error
}

// treeReader yields the tar of a planned tree.
type treeReader struct {
	s      *dirSource
	root   *os.Root
	ctx    context.Context
	cancel context.CancelCauseFunc
	group  sync.WaitGroup // the dispatcher and the openers
	order  chan *aheadItem
	bufs   chan []byte

	item *aheadItem  // being read, may be nil
	part io.Reader   // what is left of its present part
	rest []io.Reader // its parts to come
	end  bool        // the trailer is under way
	err  error       // sticky
}

func newTreeReader(ctx context.Context, s *dirSource, root *os.Root) *treeReader {
	ctx, cancel := context.WithCancelCause(ctx)
	t := &treeReader{s: s, root: root, ctx: ctx, cancel: cancel, order: make(chan *aheadItem, aheadMax), bufs: make(chan []byte, aheadBufs)}
	todo := make(chan *aheadItem, aheadMax+1)
	t.group.Go(func() {
		defer close(todo)
		defer close(t.order)
		t.dispatch(todo)
	})
	for range openers {
		t.group.Go(func() {
			for it := range todo {
				it.err = t.load(it)
				close(it.ready)
			}
		})
	}
	return t
}

// dispatch hands out the entries in order. The first item in order always has what it needs, so the reader goes on.
func (t *treeReader) dispatch(todo chan<- *aheadItem) {
	made := 0
	dir := newSharedDir(t.root, ".")
	defer func() { dir.release() }()
	for _, e := range t.s.entries[1:] { // [0] is the root itself
		if name := path.Dir(e.path); name != dir.path {
			dir.release()
			dir = newSharedDir(t.root, name)
		}
		it := &aheadItem{entry: e, dir: dir, ready: make(chan struct{})}
		if !e.dir && e.size > 0 && e.size <= smallFile {
			if made < aheadBufs && len(t.bufs) == 0 {
				made++
				it.buf = make([]byte, smallFile)
			} else {
				select {
				case it.buf = <-t.bufs:
				case <-t.ctx.Done():
					return
				}
			}
		}
		select {
		case t.order <- it:
			dir.refs.Add(1)
			todo <- it
		case <-t.ctx.Done():
			return
		}
	}
}

// load makes an item ready: its header, and its content or its open file.
func (t *treeReader) load(it *aheadItem) (err error) {
	defer it.dir.release()
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	if it.head, err = tarHeader(it.entry); err != nil || it.entry.dir {
		return err
	}
	full := t.s.full(it.entry.path)
	f, err := it.dir.open(path.Base(it.entry.path))
	if err != nil {
		return sourceError(full, true, err)
	}
	r := &fileReader{ctx: t.ctx, f: f, path: full, want: it.entry.fileState, left: it.entry.size}
	if it.buf == nil && it.entry.size > 0 {
		it.file = r
		return r.check()
	}
	defer f.Close()
	it.data = it.buf[:it.entry.size]
	if _, err := readChunk(r, it.data); err != nil {
		return err
	}
	return r.finish()
}

func (t *treeReader) Read(p []byte) (int, error) {
	for t.err == nil {
		if t.part == nil {
			t.err = t.advance()
			continue
		}
		n, err := t.part.Read(p)
		if err == io.EOF {
			t.part, err = nil, nil
		}
		t.err = err
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
	return 0, t.err
}

// advance goes to the next part: of this item, of the next one, the trailer, and then the end.
func (t *treeReader) advance() error {
	if len(t.rest) > 0 {
		t.part, t.rest = t.rest[0], t.rest[1:]
		return nil
	}
	t.recycle()
	if t.end {
		if err := t.s.verify(t.ctx, t.root); err != nil {
			return err
		}
		return io.EOF
	}
	it, err := t.nextItem()
	if err != nil {
		return err
	}
	if it == nil {
		t.end = true
		t.part = zeros(tarTrailer)
		return nil
	}
	t.part = bytes.NewReader(it.head)
	var content io.Reader = bytes.NewReader(it.data)
	if it.file != nil {
		content = it.file
	}
	t.rest = append(t.rest, content, zeros(tarPadding(it.entry.size)))
	return nil
}

// nextItem waits for the next item; nil after the last.
func (t *treeReader) nextItem() (*aheadItem, error) {
	select {
	case it, ok := <-t.order:
		if !ok {
			return nil, context.Cause(t.ctx) // nil, unless the dispatcher gave up
		}
		t.item = it // so that whatever happens, recycle finds it
		select {
		case <-it.ready:
			return it, it.err
		case <-t.ctx.Done():
		}
	case <-t.ctx.Done():
	}
	return nil, fmt.Errorf("read %s: %w", t.s.path, context.Cause(t.ctx))
}

// recycle ends the present item: its file is closed, its buffer serves another one.
func (t *treeReader) recycle() {
	if t.item == nil {
		return
	}
	if t.item.file != nil {
		_ = t.item.file.Close() // only read from
	}
	if t.item.buf != nil {
		t.bufs <- t.item.buf
	}
	t.item, t.rest = nil, t.rest[:0]
}

// Close stops the read-ahead and closes every file.
func (t *treeReader) Close() error {
	t.cancel(errStopped)
	t.group.Wait()
	t.recycle()
	for it := range t.order {
		if it.file != nil {
			_ = it.file.Close()
		}
	}
	return t.root.Close()
}

// zeros is for less than a block of padding, and the trailer.
func zeros(n int64) io.Reader { return bytes.NewReader(make([]byte, n)) }

// sharedDir is a directory from which several openers open files: one step each instead of one per element of the path.
type sharedDir struct {
	root *os.Root // of the tree
	path string
	refs atomic.Int32

	once sync.Once
	dir  *os.Root
	err  error
}

// newSharedDir has one reference, its caller's.
func newSharedDir(root *os.Root, path string) *sharedDir {
	d := &sharedDir{root: root, path: path}
	d.refs.Store(1)
	return d
}

func (d *sharedDir) get() (*os.Root, error) {
	d.once.Do(func() { d.dir, d.err = d.root.OpenRoot(filepath.FromSlash(d.path)) })
	return d.dir, d.err
}

func (d *sharedDir) open(name string) (*os.File, error) {
	dir, err := d.get()
	if err != nil {
		return nil, err
	}
	return dir.OpenFile(name, os.O_RDONLY|nonblock, 0)
}

func (d *sharedDir) lstat(name string) (os.FileInfo, error) {
	dir, err := d.get()
	if err != nil {
		return nil, err
	}
	return dir.Lstat(name)
}

// release closes the directory with its last reference.
func (d *sharedDir) release() {
	if d.refs.Add(-1) == 0 && d.dir != nil {
		_ = d.dir.Close()
	}
}
