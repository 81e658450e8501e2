package swarm

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Fast shortens all delays for tests.
func Fast(c Config) Config {
	t := defaultTuning()
	t.tick = 20 * time.Millisecond
	t.flush = 50 * time.Millisecond
	t.idle = 300 * time.Millisecond
	t.overdue = 500 * time.Millisecond
	t.alive = 2 * time.Second
	t.floor = 1
	t.grace = 500 * time.Millisecond
	t.settle = 50 * time.Millisecond
	t.hedge = 200 * time.Millisecond
	t.stuck = time.Second
	t.diskRetry = 50 * time.Millisecond
	t.backoff = backoffRange{first: 20 * time.Millisecond, most: 200 * time.Millisecond, factor: 2}
	t.penance = backoffRange{first: 100 * time.Millisecond, most: time.Second, factor: 4}
	t.redial = backoffRange{first: 50 * time.Millisecond, most: time.Second, factor: 2}
	t.revisit = backoffRange{first: 50 * time.Millisecond, most: time.Second, factor: 2}
	t.remember = 50 * time.Millisecond
	t.announce = backoffRange{first: 200 * time.Millisecond, most: time.Second, factor: 2}
	t.scrubRest = 20 * time.Millisecond
	t.scrubSave = 20 * time.Millisecond
	c.tuning = t
	if c.OriginPatience == 0 {
		c.OriginPatience = 2 * time.Second
	}
	return c
}

// WithGrace sets how long a first peer is waited for. It comes after Fast.
func WithGrace(c Config, grace time.Duration) Config {
	c.tuning.grace = grace
	return c
}

// WithoutTimers lets data go to disk when the test says so, and never by the clock. It comes after Fast.
func WithoutTimers(c Config) Config {
	c.tuning.flush = time.Hour
	return c
}

// Recorded are the pieces that the record at path vouches for, and those that it says are to come again.
func Recorded(path string, pieces int) (have, damaged []int, err error) {
	r, err := readRecord(path)
	if err != nil {
		return nil, nil, err
	}
	for i := range pieces {
		if r.have.has(i) {
			have = append(have, i)
		}
		if r.damaged.has(i) {
			damaged = append(damaged, i)
		}
	}
	return have, damaged, nil
}

// Disk is a disk whose data files fail on request.
type Disk struct {
	err, syncErr, readErr atomic.Pointer[error]

	mu     sync.Mutex
	reads  []int64 // offsets
	onSync func()
}

// FailRead makes all reads fail with err; nil heals the disk.
func (d *Disk) FailRead(err error) {
	if err == nil {
		d.readErr.Store(nil)
		return
	}
	d.readErr.Store(&err)
}

// Reads are the offsets of all reads so far.
func (d *Disk) Reads() []int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.reads)
}

// DuringSync lets f run within the next fsync.
func (d *Disk) DuringSync(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.onSync = f
}

// FailSync makes the next fsync fail with err.
func (d *Disk) FailSync(err error) { d.syncErr.Store(&err) }

// Fail makes all writes of data fail with err; nil heals the disk.
func (d *Disk) Fail(err error) {
	if err == nil {
		d.err.Store(nil)
		return
	}
	d.err.Store(&err)
}

// On puts the files of a client on the disk.
func (d *Disk) On(c Config) Config {
	c.tuning.open = func(path string) (dataFile, error) {
		f, err := openData(path)
		return failingFile{f, d}, err
	}
	return c
}

type failingFile struct {
	dataFile

	disk *Disk
}

// WriteAt writes the first half, as a full disk may.
func (f failingFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.disk.err.Load(); err != nil {
		n, _ := f.dataFile.WriteAt(b[:len(b)/2], off)
		return n, *err
	}
	return f.dataFile.WriteAt(b, off)
}

// ReadAt fails if it shall.
func (f failingFile) ReadAt(b []byte, off int64) (int, error) {
	f.disk.mu.Lock()
	f.disk.reads = append(f.disk.reads, off)
	f.disk.mu.Unlock()
	if err := f.disk.readErr.Load(); err != nil {
		return 0, *err
	}
	return f.dataFile.ReadAt(b, off)
}

// Sync fails once if it shall.
func (f failingFile) Sync() error {
	f.disk.mu.Lock()
	during := f.disk.onSync
	f.disk.onSync = nil
	f.disk.mu.Unlock()
	if during != nil {
		during()
	}
	if err := f.disk.syncErr.Swap(nil); err != nil {
		return *err
	}
	return f.dataFile.Sync()
}

// Reads counts what is read of a client's data files.
type Reads struct{ reads, bytes, seeks atomic.Int64 }

// Of makes a client count.
func (r *Reads) Of(c Config) Config {
	c.tuning.open = func(path string) (dataFile, error) {
		f, err := openData(path)
		return countedFile{f, r}, err
	}
	return c
}

// Totals are the calls that read, their bytes, and the calls that look for holes.
func (r *Reads) Totals() (reads, bytes, seeks int64) {
	return r.reads.Load(), r.bytes.Load(), r.seeks.Load()
}

type countedFile struct {
	dataFile

	count *Reads
}

// ReadAt counts.
func (f countedFile) ReadAt(b []byte, off int64) (int, error) {
	n, err := f.dataFile.ReadAt(b, off)
	f.count.reads.Add(1)
	f.count.bytes.Add(int64(n))
	return n, err
}

// Seek counts.
func (f countedFile) Seek(offset int64, whence int) (int64, error) {
	f.count.seeks.Add(1)
	return f.dataFile.Seek(offset, whence)
}

// ScrubNext is the piece at which the scrubber goes on by what its file says, -1 if that is damaged.
func ScrubNext(b []byte, pieces int) int {
	s, err := parseScrubState(b, pieces)
	if err != nil {
		return -1
	}
	return s.next
}
