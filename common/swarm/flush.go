package swarm

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// recordLease is how far ahead of the clock a record allows the file's modification time to move while writing goes on.
const recordLease = 10 * time.Minute

// flusher brings data to disk in batches and keeps the record of pieces behind it.
type flusher struct {
	pending   atomic.Bool  // pieces changed since the record was written
	lost      atomic.Bool  // the record may name pieces that are not present any more
	open      atomic.Bool  // the record allows for writes: its until lies ahead
	lastWrite atomic.Int64 // Unix nanoseconds

	mu      sync.Mutex // held while the record is written; guards what follows
	saved   bitfield   // pieces in the record
	renewAt time.Time  // when an open record needs a new until
}

// began takes over the record that restore found: nil, or one that holds.
func (f *flusher) began(rec *record, pieces int) {
	f.saved = newBitfield(pieces)
	if rec != nil {
		copy(f.saved, rec.have)
	}
}

// beforeWrite makes the record allow for the write that follows and disown lost pieces. The caller holds gate for reading.
func (p *pieceFile) beforeWrite() error {
	f := &p.flush
	f.lastWrite.Store(time.Now().UnixNano())
	if f.open.Load() && !f.lost.Load() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.open.Load() && !f.lost.Load() {
		return nil
	}
	f.lost.Store(false)
	// Only bits that were saved before may go into this record: what came later has not been fsynced.
	changes := p.watch.settled()
	bits := p.presentBits()
	bits.keep(f.saved)
	if err := p.writeRecord(bits, changes, recordLease); err != nil {
		f.lost.Store(true)
		return err
	}
	f.open.Store(true)
	return nil
}

// save makes the present pieces durable and records them.
func (p *pieceFile) save() error {
	p.notice()
	synced, err := p.syncAndRecord()
	if !synced {
		p.distrust()
	}
	return asDiskError(p.path, err)
}

func (p *pieceFile) syncAndRecord() (synced bool, err error) {
	f := &p.flush
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending.Store(false)
	f.lost.Store(false)
	changes := p.watch.settled()
	bits := p.presentBits() // before the fsync, which thereby covers them
	lease := time.Duration(0)
	if f.open.Load() {
		lease = recordLease
	}
	err = p.data.Sync()
	synced = err == nil
	if synced {
		bits.keep(p.presentBits()) // what was lost meanwhile is not written again before this record, see beforeWrite
		err = p.writeRecord(bits, changes, lease)
	}
	if err != nil {
		f.pending.Store(true)
		f.lost.Store(true)
	}
	return synced, err
}

// distrust gives up the pieces that are not known to be on disk. After a failed fsync the system may forget that it has bytes to
// write and report success the next time, so what they said before means nothing.
func (p *pieceFile) distrust() {
	p.flush.mu.Lock()
	saved := p.flush.saved
	p.flush.mu.Unlock()
	for i := range p.state {
		if !saved.has(i) {
			p.giveUp(i)
		}
	}
}

// settle makes an open record exact again. Nothing may be written meanwhile, so it is called when nothing is.
func (p *pieceFile) settle() error {
	p.gate.Lock()
	defer p.gate.Unlock()
	p.flush.open.Store(false)
	if err := p.save(); err != nil {
		p.flush.open.Store(true)
		return err
	}
	return nil
}

// writeRecord writes bits, which were true when there had been that many changes, for the file as our last write left it. The
// caller holds flush.mu.
func (p *pieceFile) writeRecord(bits bitfield, changes uint64, lease time.Duration) error {
	now, intact := p.intact(changes)
	if !intact {
		clear(bits)
	}
	modified := time.Unix(0, now.modified)
	rec := &record{
		infoHash: p.torrent.InfoHash, size: now.size, inode: now.inode,
		modified: modified, until: modified, have: bits, damaged: p.damagedBits(),
	}
	if now := time.Now(); lease > 0 {
		rec.until = now.Add(lease)
		p.flush.renewAt = now.Add(lease / 2)
	}
	if err := rec.write(p.recordPath); err != nil {
		return err
	}
	p.flush.saved = bits
	return nil
}

func (p *pieceFile) presentBits() bitfield {
	bits := newBitfield(len(p.state))
	for i := range p.state {
		if p.has(i) {
			bits.set(i)
		}
	}
	return bits
}

// runFlush saves every interval while there is something to save, until ctx ends; then for the last time. The error of that last
// time is returned, earlier ones are reported and tried again.
func (p *pieceFile) runFlush(ctx context.Context, interval time.Duration) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			if p.flush.open.Load() {
				return p.settle()
			}
			if p.flush.pending.Load() {
				return p.save()
			}
			return nil
		case <-ticker.C:
			if err := p.flushOnce(interval); err != nil {
				p.onError(err)
			}
		}
	}
}

func (p *pieceFile) flushOnce(interval time.Duration) error {
	p.notice()
	f := &p.flush
	idle := time.Since(time.Unix(0, f.lastWrite.Load())) > 2*interval
	switch {
	case f.pending.Load():
		return p.save()
	case f.open.Load() && idle:
		return p.settle()
	case f.open.Load() && p.leaseEnds():
		return p.save()
	}
	return nil
}

func (p *pieceFile) leaseEnds() bool {
	p.flush.mu.Lock()
	defer p.flush.mu.Unlock()
	return time.Now().After(p.flush.renewAt)
}
