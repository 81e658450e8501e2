//go:build linux

package faultfs

import (
	"fmt"
	"syscall"
)

// Kind is what an operation does.
type Kind string

// The operations that change a disk.
const (
	Create   Kind = "create"
	Mkdir    Kind = "mkdir"
	Link     Kind = "link"
	Rename   Kind = "rename"
	Unlink   Kind = "unlink"
	Rmdir    Kind = "rmdir"
	Write    Kind = "write"
	Setattr  Kind = "setattr" // truncation, permissions, times
	Allocate Kind = "allocate"
	Fsync    Kind = "fsync"
	FsyncDir Kind = "fsyncdir"
)

// Op is one operation that would change a disk.
type Op struct {
	// N counts the operations since [Disk.Plan], from 1.
	N    int
	Kind Kind
	// Path is relative to the root of the disk. A rename and a link have the new one.
	Path string
	// Bytes is how much a write writes.
	Bytes int
}

func (o Op) String() string { return fmt.Sprintf("operation %d, %s %s", o.N, o.Kind, o.Path) }

// Fault is how an operation fails.
type Fault int

// The faults.
const (
	// None lets the operation succeed.
	None Fault = iota
	// IO and Full refuse it with EIO and ENOSPC; nothing has changed then. A refused fsync makes nothing durable, see the package.
	IO
	Full
	// Short writes the first half and says so, and refuses the next write to the file with ENOSPC: that is how a disk becomes full.
	// A write of one byte and other operations are refused at once.
	Short
	// Torn writes the first half and answers EIO. Of other operations it is the same as Unheard.
	Torn
	// Unheard does all of it and answers EIO.
	Unheard
	// Cut switches the power off before the operation: it and all that follow, reads included, are refused with EIO.
	Cut
)

func (f Fault) String() string {
	return [...]string{"nothing", "EIO", "ENOSPC", "a short write", "a torn write", "an answer that gets lost", "a power cut"}[f]
}

// Plan says how an operation fails. It is called for one operation at a time and must not use the disk.
type Plan func(Op) Fault

// Nth lets the operation of that number fail, and no other.
func Nth(n int, f Fault) Plan {
	return func(o Op) Fault {
		if o.N == n {
			return f
		}
		return None
	}
}

// verdict is what becomes of one operation.
type verdict struct {
	err  syscall.Errno // what the caller is told; 0 for success
	skip bool          // it has no effect
	half bool          // a write has half of it
}

// judge numbers an operation and asks the plan about it. The caller holds mu.
func (d *Disk) judge(kind Kind, path string, file *inode, bytes int) verdict {
	if d.dead {
		return verdict{err: syscall.EIO, skip: true}
	}
	op := Op{N: len(d.ops) + 1, Kind: kind, Path: path, Bytes: bytes}
	d.ops = append(d.ops, op)
	fault := None
	if d.plan != nil {
		fault = d.plan(op)
	}
	if fault != None {
		d.failed = append(d.failed, op)
	}
	if kind == Write && file != nil && file.full && fault == None {
		file.full = false
		return verdict{err: syscall.ENOSPC, skip: true}
	}
	return d.sentence(fault, kind, file, bytes)
}

func (d *Disk) sentence(fault Fault, kind Kind, file *inode, bytes int) verdict {
	writing := kind == Write && bytes > 1
	switch {
	case fault == None:
		return verdict{}
	case fault == IO:
		return verdict{err: syscall.EIO, skip: true}
	case fault == Short && writing:
		file.full = true
		return verdict{half: true}
	case fault == Full || fault == Short:
		return verdict{err: syscall.ENOSPC, skip: true}
	case fault == Torn && writing:
		return verdict{err: syscall.EIO, half: true}
	case fault == Torn || fault == Unheard:
		return verdict{err: syscall.EIO}
	}
	d.dead = true
	return verdict{err: syscall.EIO, skip: true}
}
