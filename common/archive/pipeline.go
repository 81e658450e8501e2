package archive

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"
)

// pipeline runs jobs in three stages: next fills them one after another, the workers process them at once, and emit gets
// them in the order in which next filled them. Each stage is one goroutine, except work, which is one per worker.
type pipeline[J any] struct {
	free chan J // recycled jobs; its capacity is their number and thus the bound on memory
	next func(context.Context, J) error
	work []func(J) error
	emit func(J) error // owns the job and puts it back into free sooner or later
}

type ticket[J any] struct {
	job  J
	done chan struct{}
}

// run returns after the end of the input (next returned io.EOF) and of all stages, or with the first error; no goroutine
// is left in either case.
func (p *pipeline[J]) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	todo := make(chan ticket[J], cap(p.free))  // neither blocks: there are no more tickets than jobs
	order := make(chan ticket[J], cap(p.free)) //
	g.Go(func() error {
		defer close(todo)
		defer close(order)
		return p.feed(ctx, todo, order)
	})
	for _, work := range p.work {
		g.Go(func() error {
			for t := range todo {
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err := work(t.job); err != nil {
					return err
				}
				close(t.done)
			}
			return nil
		})
	}
	g.Go(func() error { return p.drain(ctx, order) })
	return g.Wait()
}

func (p *pipeline[J]) feed(ctx context.Context, todo, order chan<- ticket[J]) error {
	for {
		var job J
		select {
		case job = <-p.free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if ctx.Err() != nil { // select picks at random when both are ready
			return context.Cause(ctx)
		}
		if err := p.next(ctx, job); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		t := ticket[J]{job, make(chan struct{})}
		order <- t
		todo <- t
	}
}

func (p *pipeline[J]) drain(ctx context.Context, order <-chan ticket[J]) error {
	for t := range order {
		select {
		case <-t.done:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := p.emit(t.job); err != nil {
			return err
		}
	}
	return nil
}
