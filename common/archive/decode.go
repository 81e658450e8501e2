package archive

import (
	"context"
	"io"
	"sync/atomic"
)

// frameJob is one frame on its way to the consumer.
type frameJob struct {
	index int
	raw   []byte
	refs  atomic.Int32
	done  func() // drops a reference and recycles the job with the last one
}

// decode decodes all frames at once and hands them to emit in order. emit owns one reference of its job.
func (r *Reader) decode(ctx context.Context, workers int, emit func(*frameJob) error) error {
	workers = boundWorkers(workers, r.table.chunk+frameBound(r.table.chunk)+jobMemory(r.table.chunk))
	workers = max(1, min(workers, r.Frames()))
	p := pipeline[*frameJob]{free: make(chan *frameJob, jobsFor(workers)), emit: emit}
	for range cap(p.free) {
		j := &frameJob{}
		j.done = func() {
			if j.refs.Add(-1) == 0 {
				p.free <- j
			}
		}
		p.free <- j
	}
	next := 0
	p.next = func(_ context.Context, j *frameJob) error {
		if next == r.Frames() {
			return io.EOF
		}
		j.index = next
		j.refs.Store(1)
		next++
		return nil
	}
	for range workers {
		d, err := newFrameDecoder()
		if err != nil {
			return err
		}
		p.work = append(p.work, func(j *frameJob) (err error) {
			j.raw, err = d.decode(r, j.index, j.raw)
			return err
		})
	}
	return p.run(ctx)
}
