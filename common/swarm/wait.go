package swarm

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// Priority of pieces that are wanted; [Snapshot.WaitPiece] stands above both.
type Priority int

const (
	// Later is for what somebody will want at some time, above the background.
	Later Priority = iota
	// Soon is for what a reader comes to next. Like a waiting reader's piece, it is taken from an origin at once if no peer has it.
	Soon
)

// WaitPiece returns nil when piece i is present: verified and readable from the file. Until then the piece stands above all others; it
// is taken from an origin at once if no peer has it, and as a hedge if peers do not bring it soon. It ends early with the cause
// of ctx, [ErrClosed], or an error that wraps [ErrDisk] while the disk cannot be written. It costs next to nothing if the
// piece is present.
func (s *Snapshot) WaitPiece(ctx context.Context, i int) error {
	if s.Have(i) {
		return nil
	}
	if i < 0 || i >= len(s.file.state) {
		return fmt.Errorf("wait for piece %d: snapshot has %d pieces", i, len(s.file.state))
	}
	s.file.verifyNow(i)
	w := &waiter{piece: i, result: make(chan error, 1)}
	s.loop.post(func() { s.loop.addWaiter(w) })
	select {
	case err := <-w.result:
		return err
	case <-ctx.Done():
		s.loop.post(func() { s.loop.removeWaiter(w) })
		return fmt.Errorf("wait for piece %d: %w", i, context.Cause(ctx))
	case <-s.ctx.Done():
		return fmt.Errorf("wait for piece %d: %w", i, ErrClosed)
	}
}

// Want asks for the pieces first to last, before somebody waits for them. The caller calls release when it does not want them any
// more; calling it again does nothing. Indexes out of range are cut off.
func (s *Snapshot) Want(first, last int, p Priority) (release func()) {
	w := &want{first: max(first, 0), last: min(last, len(s.file.state)-1), priority: p}
	s.loop.post(func() { s.loop.addWant(w) })
	return sync.OnceFunc(func() { s.loop.post(func() { s.loop.removeWant(w) }) })
}

// ReadAt reads len(b) bytes at off, waiting for the pieces that hold them as [Snapshot.WaitPiece] does. It is io.ReaderAt with a context.
func (s *Snapshot) ReadAt(ctx context.Context, b []byte, off int64) (int, error) {
	done := 0
	for done < len(b) && off < s.torrent.Length {
		i := int(off / s.torrent.PieceLength)
		if err := s.WaitPiece(ctx, i); err != nil {
			return done, err
		}
		end := min(s.file.offset(i)+s.torrent.PieceSize(i)-off, int64(len(b)-done))
		n, err := s.file.data.ReadAt(b[done:done+int(end)], off)
		done += n
		off += int64(n)
		if err != nil {
			return done, fmt.Errorf("read snapshot: %w", err)
		}
	}
	if done < len(b) {
		return done, io.EOF
	}
	return done, nil
}
