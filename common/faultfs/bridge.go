//go:build linux

package faultfs

import (
	"os"
	"slices"
	"sync"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// bridge answers the kernel with whatever disk is inserted. Nothing may be cached for longer than a request: all times that it
// gives are zero.
type bridge struct {
	fuse.RawFileSystem // refuses what is not here

	mu       sync.Mutex
	disk     *Disk                      // guarded by mu, as is what follows
	listings map[uint64][]fuse.DirEntry // of open directories
	handles  uint64                     // given out
}

func newBridge() *bridge {
	return &bridge{RawFileSystem: fuse.NewDefaultRawFileSystem(), disk: NewDisk(), listings: make(map[uint64][]fuse.DirEntry)}
}

func (b *bridge) String() string { return "faultfs" }

func (b *bridge) insert(d *Disk) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.disk = d
}

func (b *bridge) inserted() *Disk {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.disk
}

// with runs f with the inode that the kernel means, and mu of its disk locked. What belongs to a disk that was taken out, or whose
// power is off, cannot be used any more.
func (b *bridge) with(node uint64, f func(*Disk, *inode) syscall.Errno) fuse.Status {
	d := b.inserted()
	if life := uint32(node >> 32); life != d.life && node != fuse.FUSE_ROOT_ID {
		return fuse.EIO
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.inodes[uint64(uint32(node))]
	if i == nil || d.dead {
		return fuse.EIO
	}
	return fuse.Status(f(d, i))
}

func (d *Disk) node(ino uint64) uint64 {
	if ino == rootIno {
		return fuse.FUSE_ROOT_ID
	}
	return uint64(d.life)<<32 | ino
}

func (d *Disk) entry(i *inode, out *fuse.EntryOut) {
	*out = fuse.EntryOut{NodeId: d.node(i.ino)}
	d.attr(i, &out.Attr)
}

func (d *Disk) attr(i *inode, out *fuse.Attr) {
	*out = fuse.Attr{
		Ino: i.ino, Mode: i.mode, Nlink: max(1, d.links(i.ino)), Size: uint64(i.now.size), Blocks: i.now.blocks(), Blksize: pageSize,
		Owner: fuse.Owner{Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())},
	}
	out.SetTimes(&i.now.modified, &i.now.modified, &i.now.modified)
}

func (b *bridge) Lookup(_ <-chan struct{}, h *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	return b.with(h.NodeId, func(d *Disk, dir *inode) syscall.Errno {
		i := d.child(dir, name)
		if i == nil {
			return syscall.ENOENT
		}
		d.entry(i, out)
		return 0
	})
}

func (b *bridge) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return b.with(in.NodeId, func(d *Disk, i *inode) syscall.Errno {
		d.attr(i, &out.Attr)
		return 0
	})
}

func (b *bridge) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	var a attributes
	if size, ok := in.GetSize(); ok {
		a.size = new(int64(size))
	}
	if mode, ok := in.GetMode(); ok {
		a.mode = &mode
	}
	if modified, ok := in.GetMTime(); ok {
		a.modified = &modified
	}
	return b.with(in.NodeId, func(d *Disk, i *inode) syscall.Errno {
		err := d.setattr(i, a)
		d.attr(i, &out.Attr)
		return err
	})
}

func (b *bridge) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	return b.with(in.NodeId, func(d *Disk, dir *inode) syscall.Errno {
		i, err := d.add(Create, dir, name, syscall.S_IFREG|in.Mode&^in.Umask&0o7777)
		if i != nil {
			d.entry(i, &out.EntryOut)
		}
		return err
	})
}

func (b *bridge) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return b.with(in.NodeId, func(d *Disk, dir *inode) syscall.Errno {
		i, err := d.add(Mkdir, dir, name, syscall.S_IFDIR|in.Mode&^in.Umask&0o7777)
		if i != nil {
			d.entry(i, out)
		}
		return err
	})
}

func (b *bridge) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	return b.with(in.NodeId, func(d *Disk, dir *inode) syscall.Errno {
		i := d.inodes[uint64(uint32(in.Oldnodeid))]
		if i == nil || d.node(i.ino) != in.Oldnodeid {
			return syscall.EIO
		}
		err := d.link(i, dir, name)
		d.entry(i, out)
		return err
	})
}

func (b *bridge) Rename(_ <-chan struct{}, in *fuse.RenameIn, name, newName string) fuse.Status {
	return b.with(in.NodeId, func(d *Disk, from *inode) syscall.Errno {
		to := d.inodes[uint64(uint32(in.Newdir))]
		if to == nil || d.node(to.ino) != in.Newdir || in.Flags&^unix.RENAME_NOREPLACE != 0 {
			return syscall.EINVAL
		}
		return d.rename(from, name, to, newName, in.Flags != 0)
	})
}

func (b *bridge) Unlink(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return b.with(h.NodeId, func(d *Disk, dir *inode) syscall.Errno { return d.remove(Unlink, dir, name) })
}

func (b *bridge) Rmdir(_ <-chan struct{}, h *fuse.InHeader, name string) fuse.Status {
	return b.with(h.NodeId, func(d *Disk, dir *inode) syscall.Errno { return d.remove(Rmdir, dir, name) })
}

func (b *bridge) Open(_ <-chan struct{}, in *fuse.OpenIn, _ *fuse.OpenOut) fuse.Status {
	return b.with(in.NodeId, func(*Disk, *inode) syscall.Errno { return 0 })
}

func (b *bridge) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	n := 0
	status := b.with(in.NodeId, func(_ *Disk, i *inode) syscall.Errno {
		n = i.now.read(buf, int64(in.Offset))
		return 0
	})
	return fuse.ReadResultData(buf[:n]), status
}

func (b *bridge) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (written uint32, _ fuse.Status) {
	status := b.with(in.NodeId, func(d *Disk, i *inode) syscall.Errno {
		n, err := d.write(i, data, int64(in.Offset))
		written = uint32(n)
		return err
	})
	return written, status
}

func (b *bridge) Lseek(_ <-chan struct{}, in *fuse.LseekIn, out *fuse.LseekOut) fuse.Status {
	return b.with(in.NodeId, func(_ *Disk, i *inode) syscall.Errno {
		at, ok := i.now.seek(int64(in.Offset), in.Whence == unix.SEEK_DATA)
		if !ok {
			return syscall.ENXIO
		}
		out.Offset = uint64(at)
		return 0
	})
}

func (b *bridge) Fallocate(_ <-chan struct{}, in *fuse.FallocateIn) fuse.Status {
	if in.Mode&^unix.FALLOC_FL_KEEP_SIZE != 0 {
		return fuse.Status(syscall.EOPNOTSUPP)
	}
	size := int64(in.Offset + in.Length)
	if in.Mode != 0 {
		size = 0
	}
	return b.with(in.NodeId, func(d *Disk, i *inode) syscall.Errno { return d.allocate(i, size) })
}

func (b *bridge) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }

func (b *bridge) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return b.with(in.NodeId, func(d *Disk, i *inode) syscall.Errno { return d.fsync(i) })
}

func (b *bridge) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return b.with(in.NodeId, func(d *Disk, i *inode) syscall.Errno { return d.fsyncDir(i) })
}

// OpenDir notes what is there, so that a listing is whole although entries come and go meanwhile.
func (b *bridge) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	var list []fuse.DirEntry
	status := b.with(in.NodeId, func(d *Disk, dir *inode) syscall.Errno {
		for name, ino := range dir.entries {
			list = append(list, fuse.DirEntry{Name: name, Ino: ino, Mode: d.inodes[ino].mode})
		}
		return 0
	})
	slices.SortFunc(list, func(a, b fuse.DirEntry) int { return int(a.Ino) - int(b.Ino) })
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handles++
	out.Fh = b.handles
	b.listings[out.Fh] = list
	return status
}

func (b *bridge) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.listings[in.Fh]
	for n := int(in.Offset); n < len(list); n++ {
		if !out.AddDirEntry(list[n]) {
			break
		}
	}
	return fuse.OK
}

func (b *bridge) ReleaseDir(in *fuse.ReleaseIn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.listings, in.Fh)
}

// StatFs promises a terabyte.
func (b *bridge) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	*out = fuse.StatfsOut{Blocks: 1 << 28, Bfree: 1 << 28, Bavail: 1 << 28, Files: 1 << 20, Ffree: 1 << 20, Bsize: pageSize, Frsize: pageSize, NameLen: 255}
	return fuse.OK
}
