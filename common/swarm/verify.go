package swarm

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sync/errgroup"
)

// runVerify hashes unknown pieces, on all cores, until ctx ends.
func (p *pieceFile) runVerify(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.toHash:
		}
		var g errgroup.Group
		for range runtime.GOMAXPROCS(0) {
			g.Go(func() error {
				for ctx.Err() == nil {
					i, ok := p.takeUnknown()
					if !ok {
						break
					}
					p.settleUnknown(i)
				}
				return nil
			})
		}
		_ = g.Wait() // the functions return no errors
	}
}

// verifyNow hashes piece i at once if it is unknown and nobody is at it.
func (p *pieceFile) verifyNow(i int) {
	if p.state[i].CompareAndSwap(pieceUnknown, pieceHashing) {
		p.settleUnknown(i)
	}
}

// settleUnknown finds out whether piece i, which the caller has marked as being hashed, is present or missing.
func (p *pieceFile) settleUnknown(i int) {
	writes := p.writes[i].Load()
	good, err := p.hashesRight(i)
	lock := &p.stripe[i%stripes]
	lock.Lock()
	defer lock.Unlock()
	switch {
	case p.state[i].Load() != pieceHashing: // committed meanwhile
	case writes != p.writes[i].Load():
		p.setState(i, pieceUnknown, fromNowhere, false)
	case good && err == nil:
		p.setState(i, piecePresent, fromDisk, true)
	default:
		p.setState(i, pieceMissing, fromNowhere, true)
	}
}

func (p *pieceFile) hashesRight(i int) (bool, error) {
	check := p.torrent.NewCheck(i)
	section := io.NewSectionReader(p.data, p.offset(i), p.torrent.PieceSize(i))
	if _, err := io.CopyBuffer(struct{ io.Writer }{check}, struct{ io.Reader }{section}, make([]byte, hashBuffer)); err != nil {
		return false, fmt.Errorf("hash piece %d of %s: %w", i, p.path, err)
	}
	return check.Right(), nil
}

// verify hashes the present pieces that which selects, and those in doubt, and gives up those that are wrong.
func (p *pieceFile) verify(ctx context.Context, which func(i int) bool) (bad int, err error) {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	right := make([]bool, len(p.state))
	hashed := newBitfield(len(p.state))
	for i := range p.state {
		if ctx.Err() != nil {
			break
		}
		if p.missing(i) || p.has(i) && !which(i) {
			continue
		}
		hashed.set(i)
		g.Go(func() error {
			good, err := p.hashesRight(i)
			right[i] = good && err == nil // unreadable is as bad as wrong: the piece is fetched again
			return nil
		})
	}
	_ = g.Wait() // the functions return no errors
	for i := range p.state {
		switch {
		case hashed.has(i) && right[i]:
			p.vouch(i)
		case hashed.has(i):
			bad++
			p.giveUp(i)
			p.metrics.badPiece(fromDisk)
		}
	}
	return bad, context.Cause(ctx)
}

// giveUp declares piece i missing if it was present.
func (p *pieceFile) giveUp(i int) {
	lock := &p.stripe[i%stripes]
	lock.Lock()
	defer lock.Unlock()
	if p.has(i) {
		p.setState(i, pieceMissing, fromNowhere, true)
	}
}

// vouched reports whether piece i is present on the word of the record alone, not hashed by this process.
func (p *pieceFile) vouched(i int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.restored.has(i) && p.origin[i] == fromDisk
}

// vouch notes that this process has hashed piece i.
func (p *pieceFile) vouch(i int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.restored.clear(i)
}
