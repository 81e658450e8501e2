//go:build linux

package faultfs

import (
	"path"
	"syscall"
	"time"
)

// What happens to names. The callers hold mu.

// change is one change to the entries of dir that reaches the disk as a whole or not at all; 0 removes a name.
func (i *inode) change(names map[string]uint64) {
	apply(i.entries, names)
	i.pending = append(i.pending, names)
	i.now.modified = time.Now()
}

func (d *Disk) child(dir *inode, name string) *inode { return d.inodes[dir.entries[name]] }

func (d *Disk) below(dir *inode, name string) string { return path.Join(d.path(dir), name) }

// add makes a file or directory.
func (d *Disk) add(kind Kind, dir *inode, name string, mode uint32) (*inode, syscall.Errno) {
	if d.child(dir, name) != nil {
		return nil, syscall.EEXIST
	}
	v := d.judge(kind, d.below(dir, name), nil, 0)
	if v.skip {
		return nil, v.err
	}
	d.last++
	i := newInode(d.last, mode)
	i.now.modified, i.dir, i.name = time.Now(), dir.ino, name
	i.safe.modified = i.now.modified
	d.inodes[i.ino] = i
	dir.change(map[string]uint64{name: i.ino})
	return i, v.err
}

func (d *Disk) link(i, dir *inode, name string) syscall.Errno {
	if d.child(dir, name) != nil {
		return syscall.EEXIST
	}
	v := d.judge(Link, d.below(dir, name), nil, 0)
	if !v.skip {
		dir.change(map[string]uint64{name: i.ino})
		i.dir, i.name = dir.ino, name
	}
	return v.err
}

func (d *Disk) remove(kind Kind, dir *inode, name string) syscall.Errno {
	i := d.child(dir, name)
	switch {
	case i == nil:
		return syscall.ENOENT
	case kind == Rmdir && !i.isDir():
		return syscall.ENOTDIR
	case kind == Unlink && i.isDir():
		return syscall.EISDIR
	case len(i.entries) > 0:
		return syscall.ENOTEMPTY
	}
	v := d.judge(kind, d.below(dir, name), nil, 0)
	if !v.skip {
		dir.change(map[string]uint64{name: 0})
	}
	return v.err
}

func (d *Disk) rename(from *inode, name string, to *inode, newName string, keep bool) syscall.Errno {
	i, old := d.child(from, name), d.child(to, newName)
	switch {
	case i == nil:
		return syscall.ENOENT
	case old != nil && keep:
		return syscall.EEXIST
	case old == i:
		return 0 // two names of one file: rename(2) does nothing
	case old != nil && old.isDir() && !i.isDir():
		return syscall.EISDIR
	case old != nil && !old.isDir() && i.isDir():
		return syscall.ENOTDIR
	case old != nil && len(old.entries) > 0:
		return syscall.ENOTEMPTY
	}
	v := d.judge(Rename, d.below(to, newName), nil, 0)
	if v.skip {
		return v.err
	}
	if from == to {
		from.change(map[string]uint64{name: 0, newName: i.ino})
	} else {
		to.change(map[string]uint64{newName: i.ino})
		from.change(map[string]uint64{name: 0})
	}
	i.dir, i.name = to.ino, newName
	return v.err
}

func (d *Disk) fsyncDir(dir *inode) syscall.Errno {
	v := d.judge(FsyncDir, d.path(dir), nil, 0)
	if !v.skip {
		dir.settleNames()
	}
	return v.err
}
