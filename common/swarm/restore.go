package swarm

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"

	"snapswarm/common/durable"
	"snapswarm/common/snapshot"
)

// openPieceFile opens or creates dir/name. With trusted, the caller has hashed every byte itself just now.
func openPieceFile(t *snapshot.Torrent, dir string, open func(string) (dataFile, error), trusted bool) (*pieceFile, error) {
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return nil, asDiskError(dir, err)
	}
	n := t.NumPieces()
	p := &pieceFile{
		torrent: t, path: filepath.Join(dir, t.Name), recordPath: filepath.Join(dir, "."+t.InfoHash.String()+".pieces"),
		onError: func(error) {}, onForeign: func() {}, onForged: func(int) {},
		state: make([]atomic.Uint32, n), writes: make([]atomic.Uint32, n), hashed: make([]atomic.Uint32, n), forged: make([]atomic.Bool, n),
		origin: make([]source, n), restored: newBitfield(n), damaged: newBitfield(n),
		changed: make(chan struct{}, 1), toHash: make(chan struct{}, 1),
	}
	var err error
	if p.data, err = open(p.path); err != nil {
		return nil, fmt.Errorf("open snapshot: %w", asDiskError(p.path, err))
	}
	if err := p.restore(trusted); err != nil {
		return nil, errors.Join(err, p.data.Close())
	}
	return p, nil
}

// restore finds out what of the file can be used and gives it its size.
func (p *pieceFile) restore(trusted bool) error {
	info, err := p.data.Stat()
	if err != nil {
		return fmt.Errorf("open snapshot: %w", err)
	}
	rec, err := readRecord(p.recordPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		aside, e := durable.SetAside(p.recordPath)
		p.badRecord = fmt.Errorf("it is set aside as %s: %w", aside, errors.Join(err, e))
	}
	if err != nil || info.Size() != p.torrent.Length || !rec.matches(p.torrent.InfoHash, len(p.state), info) {
		rec = nil
	}
	switch {
	case trusted && info.Size() != p.torrent.Length:
		return fmt.Errorf("open snapshot %s: it has %d bytes, its torrent says %d", p.path, info.Size(), p.torrent.Length)
	case trusted:
		p.assumeAll(piecePresent)
	case rec != nil:
		p.trustRecord(rec)
	case info.Size() > 0:
		p.assumeAll(pieceUnknown)
	}
	if info.Size() != p.torrent.Length {
		if err := p.data.Truncate(p.torrent.Length); err != nil {
			return fmt.Errorf("open snapshot: %w", asDiskError(p.path, err))
		}
	}
	p.watch.expect(p.data)
	p.flush.began(rec, len(p.state))
	// A record that allows for writes which did not come, and pieces that are in no record yet, are settled soon.
	p.flush.pending.Store(p.present > 0 && (rec == nil || !rec.until.Equal(rec.modified)))
	return nil
}

func (p *pieceFile) assumeAll(s pieceState) {
	for i := range p.state {
		switch {
		case s == piecePresent:
			p.state[i].Store(s)
			p.count(i, fromDisk)
		case !p.hole(i):
			p.doubtful(i)
		}
	}
}

// trustRecord takes over what the record vouches for. If it was made while writing went on, the pieces that were written after it
// are hashed, so that a process that was killed fetches nothing again.
func (p *pieceFile) trustRecord(rec *record) {
	killed := rec.until.After(rec.modified)
	copy(p.damaged, rec.damaged)
	for i := range p.state {
		switch {
		case rec.have.has(i):
			p.state[i].Store(piecePresent)
			p.restored.set(i)
			p.count(i, fromDisk)
		case killed && !p.hole(i):
			p.doubtful(i)
		}
	}
}

// doubtful marks a piece as one to be hashed, while the file is being opened.
func (p *pieceFile) doubtful(i int) {
	p.state[i].Store(pieceUnknown)
	p.unknown = append(p.unknown, i)
	signal(p.toHash)
}

func (p *pieceFile) hole(i int) bool {
	return isHole(p.data, p.offset(i), p.torrent.PieceSize(i))
}
