package archive

import (
	"context"
	"io"
)

// streamBlock is the unit in which a stream is handed over.
const streamBlock = 256 << 10

type readerSource struct {
	name string
	r    io.Reader
}

// ReaderSource packs what r yields until io.EOF, once: standard input, a pipe. name is the raw name. Its Size is -1.
//
// A Read of r that does not return cannot be taken back: after ctx has ended, Write returns at once, and the goroutine that
// waits in that Read ends with it.
func ReaderSource(name string, r io.Reader) Source { return &readerSource{name: name, r: r} }

func (s *readerSource) Name() string { return s.name }
func (s *readerSource) Size() int64  { return -1 }

func (s *readerSource) Open(ctx context.Context) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &streamReader{ctx: ctx, cancel: cancel, full: make(chan streamPart), free: make(chan []byte, 2)}
	p.free <- make([]byte, streamBlock)
	p.free <- make([]byte, streamBlock)
	go p.pump(s.r)
	return p, nil
}

type streamPart struct {
	space []byte
	n     int
	err   error
}

// streamReader decouples reading from a stream that knows no context. Two blocks alternate between pump and Read.
type streamReader struct {
	ctx    context.Context
	cancel context.CancelFunc
	full   chan streamPart
	free   chan []byte
	part   streamPart
	off    int
}

func (p *streamReader) pump(r io.Reader) {
	for {
		select {
		case b := <-p.free:
			n, err := r.Read(b)
			select {
			case p.full <- streamPart{b, n, err}:
			case <-p.ctx.Done():
				return
			}
			if err != nil {
				return
			}
		case <-p.ctx.Done():
			return
		}
	}
}

func (p *streamReader) Read(b []byte) (int, error) {
	for p.off == p.part.n {
		if p.part.err != nil {
			return 0, p.part.err
		}
		if p.part.space != nil {
			p.free <- p.part.space // never blocks: two blocks, two places
		}
		p.part, p.off = streamPart{}, 0
		select {
		case p.part = <-p.full:
		case <-p.ctx.Done():
			return 0, context.Cause(p.ctx)
		}
	}
	n := copy(b, p.part.space[p.off:p.part.n])
	p.off += n
	return n, nil
}

func (p *streamReader) Close() error {
	p.cancel()
	return nil
}
