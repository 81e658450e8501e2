//go:build linux

package faultfs

import (
	"maps"
	"slices"
	"syscall"
	"time"
)

// What happens to files. The callers hold mu.

func sorted(m map[uint64]*inode) []uint64 { return slices.Sorted(maps.Keys(m)) }

// write returns how many bytes were written, and the error.
func (d *Disk) write(i *inode, b []byte, off int64) (int, syscall.Errno) {
	v := d.judge(Write, d.path(i), i, len(b))
	if v.skip {
		return 0, v.err
	}
	if v.half {
		b = b[:len(b)/2]
	}
	i.now.write(b, off)
	return len(b), v.err
}

// attributes are what setattr may change; nil stays as it is.
type attributes struct {
	size     *int64
	mode     *uint32
	modified *time.Time
}

func (d *Disk) setattr(i *inode, a attributes) syscall.Errno {
	if a == (attributes{}) {
		return 0 // access times and owners, which nobody keeps
	}
	v := d.judge(Setattr, d.path(i), i, 0)
	if v.skip {
		return v.err
	}
	if a.size != nil {
		i.now.truncate(*a.size)
	}
	if a.mode != nil {
		i.mode = i.mode&syscall.S_IFMT | *a.mode
	}
	if a.modified != nil {
		i.now.modified = *a.modified
	}
	return v.err
}

func (d *Disk) allocate(i *inode, size int64) syscall.Errno {
	v := d.judge(Allocate, d.path(i), i, 0)
	if !v.skip && size > i.now.size {
		i.now.truncate(size)
	}
	return v.err
}

func (d *Disk) fsync(i *inode) syscall.Errno {
	v := d.judge(Fsync, d.path(i), i, 0)
	if d.dead {
		return v.err
	}
	if v.skip {
		for n, p := range i.now.pages {
			if p != i.safe.page(n) {
				i.forgotten[n] = p
			}
		}
		return v.err
	}
	before := i.safe
	i.safe = i.now.clone()
	for n, p := range i.forgotten {
		if p == i.now.page(n) {
			i.safe.setPage(n, before.page(n))
		} else {
			delete(i.forgotten, n) // written anew
		}
	}
	return v.err
}
