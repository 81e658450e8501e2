package publish

import (
	"io"
	"sync"
	"sync/atomic"
)

const (
	fanoutBlock  = 1 << 20 // bytes per block
	fanoutBlocks = 32      // blocks in all: what a sink may lag behind
)

// fanout hands one stream to several writers, each in a goroutine of its own, so that none of them slows the source
// before it lags 32 MiB behind. Its memory is fixed. One goroutine writes and closes it.
type fanout struct {
	sinks []chan *block
	free  chan *block
	fill  *block
	done  sync.WaitGroup
	err   atomic.Pointer[error] // the first error of any sink
}

// block travels to all sinks and returns to the free list when the last one has written it.
type block struct {
	data []byte
	refs atomic.Int32
}

func newFanout(sinks ...io.Writer) *fanout {
	f := &fanout{free: make(chan *block, fanoutBlocks)}
	for range fanoutBlocks {
		f.free <- &block{}
	}
	for _, w := range sinks {
		in := make(chan *block, fanoutBlocks)
		f.sinks = append(f.sinks, in)
		f.done.Go(func() { f.drain(in, w) })
	}
	return f
}

// drain writes blocks to w. After an error it goes on emptying the channel, so that nobody waits for it.
func (f *fanout) drain(in <-chan *block, w io.Writer) {
	broken := false
	for b := range in {
		if !broken {
			if _, err := w.Write(b.data); err != nil {
				f.err.CompareAndSwap(nil, &err)
				broken = true
			}
		}
		if b.refs.Add(-1) == 0 {
			b.data = b.data[:0]
			f.free <- b
		}
	}
}

// Write copies p. It fails with the error of a sink, possibly that of an earlier Write.
func (f *fanout) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		if err := f.err.Load(); err != nil {
			return written, *err
		}
		if f.fill == nil {
			f.fill = <-f.free
			if f.fill.data == nil {
				f.fill.data = make([]byte, 0, fanoutBlock)
			}
		}
		n := min(len(p), fanoutBlock-len(f.fill.data))
		f.fill.data = append(f.fill.data, p[:n]...)
		p, written = p[n:], written+n
		if len(f.fill.data) == fanoutBlock {
			f.send()
		}
	}
	return written, nil
}

func (f *fanout) send() {
	b := f.fill
	f.fill = nil
	b.refs.Store(int32(len(f.sinks)))
	for _, in := range f.sinks {
		in <- b
	}
}

// Close waits until every sink has written everything, and returns the first error of any. It closes no sink.
func (f *fanout) Close() error {
	if f.fill != nil {
		f.send()
	}
	for _, in := range f.sinks {
		close(in)
	}
	f.done.Wait()
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}
