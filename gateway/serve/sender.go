package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

// How much is sent between two moves of the write deadline: little for slow clients, so that each step ends well within the
// idle limit, and more for fast ones, for whom each step costs a few system calls.
const (
	minStep   = 64 << 10
	firstStep = 256 << 10
	maxStep   = 4 << 20
)

// errStalled means that no data arrived from anywhere for the idle limit.
var errStalled = errors.New("no source delivered anything")

// sender moves parts of a snapshot's file to a client as the pieces come in.
//
// The bytes do not pass through this process: io.CopyN from an *os.File to net/http's own writer ends in sendfile(2). echo's
// Response and most wrappers have no ReadFrom and would turn that into read and write.
type sender struct {
	w      http.ResponseWriter
	data   Snapshot
	file   *os.File
	length int64 // of a piece
	idle   time.Duration
	step   int64
	sent   int64
	ahead  *readahead
}

// newSender opens the file. The caller calls close.
func newSender(w http.ResponseWriter, data Snapshot, idle time.Duration) (*sender, error) {
	file, err := data.File()
	if err != nil {
		return nil, fmt.Errorf("open snapshot: %w", err)
	}
	return &sender{
		w: w, data: data, file: file, length: data.Torrent().PieceLength, idle: idle, step: firstStep, ahead: newReadahead(data),
	}, nil
}

func (s *sender) close() {
	s.ahead.stop()
	_ = s.file.Close() // it was only read
}

// first waits until the byte at off is here.
func (s *sender) first(ctx context.Context, off int64) error {
	piece := int(off / s.length)
	if s.data.Have(piece) {
		return nil
	}
	return s.data.WaitPiece(ctx, piece)
}

// sendAll writes the body. Any error means that it is incomplete.
func (s *sender) sendAll(ctx context.Context, c content) error {
	for _, p := range c.parts {
		if err := s.text(p.head); err != nil {
			return err
		}
		if err := s.send(ctx, p.byteRange); err != nil {
			return err
		}
	}
	return s.text(c.tail)
}

func (s *sender) text(text string) error {
	if text == "" {
		return nil
	}
	extend(s.w, s.idle)
	n, err := io.WriteString(s.w, text)
	s.sent += int64(n)
	return err
}

func (s *sender) send(ctx context.Context, r byteRange) error {
	if _, err := s.file.Seek(r.start, io.SeekStart); err != nil {
		return fmt.Errorf("seek in snapshot: %w", err)
	}
	for off, end := r.start, r.end(); off < end; {
		s.ahead.move(off, end)
		if err := s.wait(ctx, int(off/s.length)); err != nil {
			return err
		}
		n, err := s.copy(off, s.available(off, min(end, off+s.step)))
		off += n
		if err != nil {
			return fmt.Errorf("send snapshot: %w", err)
		}
	}
	return nil
}

// copy sends n bytes from off on, where the file stands, or fewer when the client is slow. It fails when the client took nothing
// for the idle limit.
func (s *sender) copy(off, n int64) (int64, error) {
	began := time.Now()
	extend(s.w, s.idle)
	sent, err := io.CopyN(s.w, s.file, n)
	s.sent += sent
	s.step = nextStep(s.step, time.Since(began), s.idle)
	if sent > 0 && errors.Is(err, os.ErrDeadlineExceeded) { // slow, but alive
		_, err = s.file.Seek(off+sent, io.SeekStart)
	}
	return sent, err
}

// available is how many bytes from off on, and before end, are here. The piece at off is.
func (s *sender) available(off, end int64) int64 {
	here := (off/s.length + 1) * s.length
	for here < end && s.data.Have(int(here/s.length)) {
		here += s.length
	}
	return min(here, end) - off
}

// wait returns when the piece is here, or when nothing at all arrived for the idle limit: a piece may take as long as its
// source is slow.
func (s *sender) wait(ctx context.Context, piece int) error {
	for !s.data.Have(piece) {
		before := s.data.Received()
		limited, cancel := context.WithTimeout(ctx, s.idle)
		err := s.data.WaitPiece(limited, piece)
		cancel()
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
			return fmt.Errorf("wait for data: %w", err)
		case s.data.Received() == before:
			return fmt.Errorf("wait for data: %w within %s", errStalled, s.idle)
		}
	}
	return nil
}

// nextStep chooses the size of the next step after one of size step took d: a small part of the idle limit, so that a client that
// becomes much slower still gets a step done within it.
func nextStep(step int64, d, idle time.Duration) int64 {
	switch {
	case d < idle/100:
		return min(2*step, maxStep)
	case d > idle/10:
		return max(step/2, minStep)
	}
	return step
}
