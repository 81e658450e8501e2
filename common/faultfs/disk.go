//go:build linux

package faultfs

import (
	"maps"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
)

// Disk is a file system in memory. Its methods may be called by several goroutines.
type Disk struct {
	life uint32 // tells it from every other disk of this process

	mu     sync.Mutex
	inodes map[uint64]*inode // guarded by mu, as is what follows
	last   uint64            // inode number given out
	plan   Plan
	ops    []Op
	failed []Op
	dead   bool
}

// rootIno is the number of the uppermost directory.
const rootIno = 1

// lives counts the disks of this process. The kernel keeps on using what it knows of a disk after another one took its place
// behind the mount point, so no two may be mistaken for each other.
var lives atomic.Uint32 //nolint:gochecknoglobals // see above

// NewDisk is an empty disk.
func NewDisk() *Disk {
	d := &Disk{life: lives.Add(1), inodes: make(map[uint64]*inode), last: rootIno}
	d.inodes[rootIno] = newInode(rootIno, syscall.S_IFDIR|0o755)
	return d
}

// Clone is an independent disk with the same content and the same idea of what is durable, and without a plan.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &Disk{life: lives.Add(1), inodes: make(map[uint64]*inode, len(d.inodes)), last: d.last}
	for ino, i := range d.inodes {
		c.inodes[ino] = i.clone()
	}
	return c
}

// Plan lets p decide about every operation from now on, and begins to count anew. Nil lets all succeed.
func (d *Disk) Plan(p Plan) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.plan, d.ops, d.failed = p, nil, nil
}

// Ops are the operations since Plan.
func (d *Disk) Ops() []Op {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.ops)
}

// Failed are those since Plan for which the plan had a fault.
func (d *Disk) Failed() []Op {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.failed)
}

// Cut switches the power off, as the fault of that name does.
func (d *Disk) Cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead = true
}

// Dead reports whether the power is off.
func (d *Disk) Dead() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.dead
}

// Settle makes everything durable, as time does.
func (d *Disk) Settle() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, i := range d.inodes {
		i.settle()
	}
}

// inode is a file or a directory.
type inode struct {
	ino  uint64
	mode uint32 // with the bits of its type; durable at once, for the sake of simplicity
	// dir and name are where it was last seen, for the path of an Op.
	dir  uint64
	name string

	now, safe content             // of a file: what processes see, and what survives a power cut
	forgotten map[int]*page       // pages of which a failed fsync said that they are clean
	full      bool                // the next write is refused
	entries   map[string]uint64   // of a directory: what processes see
	safeNames map[string]uint64   // and what survives
	pending   []map[string]uint64 // each change since; 0 removes
}

func newInode(ino uint64, mode uint32) *inode {
	i := &inode{ino: ino, mode: mode, forgotten: make(map[int]*page)}
	if i.isDir() {
		i.entries, i.safeNames = make(map[string]uint64), make(map[string]uint64)
	}
	return i
}

func (i *inode) isDir() bool { return i.mode&syscall.S_IFMT == syscall.S_IFDIR }

func (i *inode) clone() *inode {
	c := *i
	c.now, c.safe = i.now.clone(), i.safe.clone()
	c.forgotten, c.entries, c.safeNames = maps.Clone(i.forgotten), maps.Clone(i.entries), maps.Clone(i.safeNames)
	c.pending = slices.Clone(i.pending) // a change, once made, stays as it is
	return &c
}

// settle makes the inode durable.
func (i *inode) settle() {
	i.safe = i.now.clone()
	clear(i.forgotten)
	i.settleNames()
}

func (i *inode) settleNames() {
	i.safeNames, i.pending = maps.Clone(i.entries), nil
}

// path is where i was last seen. The caller holds mu.
func (d *Disk) path(i *inode) string {
	if i.ino == rootIno || i.dir == 0 || d.inodes[i.dir] == nil {
		return i.name
	}
	return path.Join(d.path(d.inodes[i.dir]), i.name)
}

// links is how many names a file has. The caller holds mu.
func (d *Disk) links(ino uint64) (n uint32) {
	for _, i := range d.inodes {
		for _, target := range i.entries {
			if target == ino {
				n++
			}
		}
	}
	return n
}
