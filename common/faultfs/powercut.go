//go:build linux

package faultfs

import (
	"maps"
	"math/rand/v2"
)

// Fate is what becomes of changes that nobody made durable.
type Fate int

// The fates.
const (
	Lost  Fate = iota // none of them got to the disk
	Kept              // all did
	Mixed             // some did
)

func (f Fate) String() string { return [...]string{"lost", "kept", "mixed"}[f] }

// Outcome chooses what a power cut leaves behind.
type Outcome struct {
	// Names is about the entries of directories, Data about the bytes, sizes and times of files. Names kept and data lost leave the
	// classic empty file behind.
	Names, Data Fate
	// Seed chooses where the fate is Mixed.
	Seed uint64
}

// PowerCut switches the power off and returns the disk as it is found afterwards; d itself stays dead.
func (d *Disk) PowerCut(o Outcome) *Disk {
	d.Cut()
	c := d.Clone()
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	for _, ino := range sorted(c.inodes) { // in order, so that a seed gives the same again
		i := c.inodes[ino]
		if i.isDir() {
			i.loseNames(o.Names, rng)
		} else {
			i.loseData(o.Data, rng)
		}
		i.full = false
	}
	c.sweep()
	return c
}

func (i *inode) loseNames(fate Fate, rng *rand.Rand) {
	reached := 0
	switch fate {
	case Kept:
		reached = len(i.pending)
	case Mixed:
		reached = rng.IntN(len(i.pending) + 1)
	case Lost:
	}
	i.entries = maps.Clone(i.safeNames)
	for _, change := range i.pending[:reached] {
		apply(i.entries, change)
	}
	i.settleNames()
}

func apply(entries, change map[string]uint64) {
	for name, ino := range change {
		if ino == 0 {
			delete(entries, name)
		} else {
			entries[name] = ino
		}
	}
}

func (i *inode) loseData(fate Fate, rng *rand.Rand) {
	reached := func() bool { return fate == Kept || fate == Mixed && rng.IntN(2) == 0 }
	left := i.safe.clone()
	if reached() {
		left.size, left.modified = i.now.size, i.now.modified
	}
	for n := range max(len(i.now.pages), len(i.safe.pages)) {
		p := i.now.page(n)
		if p == i.safe.page(n) || !reached() || p != nil && p == i.forgotten[n] {
			p = i.safe.page(n)
		}
		left.setPage(n, p)
	}
	left.fit(left.size)
	i.now = left
	i.settle()
}

// sweep removes what no name leads to any more.
func (d *Disk) sweep() {
	alive := make(map[uint64]bool)
	d.reach(rootIno, alive)
	maps.DeleteFunc(d.inodes, func(ino uint64, _ *inode) bool { return !alive[ino] })
}

func (d *Disk) reach(ino uint64, alive map[uint64]bool) {
	alive[ino] = true
	i := d.inodes[ino]
	for name, target := range i.entries {
		child := d.inodes[target]
		if child.isDir() && alive[target] { // moved between two directories, of which only one knows
			delete(i.entries, name)
			delete(i.safeNames, name)
			continue
		}
		child.dir, child.name = ino, name
		d.reach(target, alive)
	}
}
