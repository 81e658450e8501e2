package archive

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
)

// Write packs src into w in one pass and returns what a description needs to know about both sides.
//
// w gets the archive strictly in order from one goroutine; while it blocks, the encoders go on until all chunks are used up.
// The bytes depend on the raw data, the chunk size, the level and the encoder's version alone. Write returns after all its
// goroutines have; after an error w holds a useless beginning.
//
// Errors: those of src (ErrSourceChanged, ErrUnreadable), of w and o.Also, and ctx's.
func Write(ctx context.Context, w io.Writer, src Source, o Options) (Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Result{}, err
	}
	if n := src.Size(); n > MaxFrames*o.ChunkSize {
		return Result{}, fmt.Errorf("%s has %d bytes: %w: chunks of %d bytes allow %d, use larger ones", src.Name(), n, ErrTooLong,
			o.ChunkSize, MaxFrames*o.ChunkSize)
	}
	p := newPacker(w, src, o)
	for range o.Workers {
		enc, err := newFrameEncoder(o.Level, o.ChunkSize)
		if err != nil {
			return Result{}, err
		}
		p.work = append(p.work, func(j *packJob) error {
			j.out = enc.encode(j.buf, j.raw)
			return nil
		})
	}
	p.table = newTableWriter(src.Size(), o.ChunkSize)
	res, err := p.pack(ctx, src, o)
	if err != nil {
		return Result{}, fmt.Errorf("pack %s: %w", src.Name(), err)
	}
	res.Chunk, res.Encoder, res.Level = o.ChunkSize, Encoder(), string(o.Level)
	return res, nil
}

// Copy passes src through as it is (it is compressed already): Size and RawSize, SHA256 and RawSHA256 of the Result are the
// same. For everything else it is like Write.
func Copy(ctx context.Context, w io.Writer, src Source, o Options) (Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return Result{}, err
	}
	o.Workers = 1
	p := newPacker(w, src, o)
	p.work = []func(*packJob) error{func(j *packJob) error { j.out = j.raw; return nil }}
	res, err := p.pack(ctx, src, o)
	if err != nil {
		return Result{}, fmt.Errorf("copy %s: %w", src.Name(), err)
	}
	return res, nil
}

// packJob is one chunk on its way.
type packJob struct {
	space []byte // one chunk
	buf   []byte // room for its frame, length 0
	raw   []byte // the part of space that is filled
	out   []byte // what is to be written
	refs  atomic.Int32
	done  func() // drops a reference and recycles the job with the last one
}

// packer is one Write or Copy. fill runs on the reading goroutine, write on the writing one, which owns the counters.
type packer struct {
	pipeline[*packJob]
	w        io.Writer
	in       io.Reader
	table    *tableWriter // nil in a Copy
	rawHash  *hasher
	outHash  *hasher // nil in a Copy
	also     *tap    // nil without Options.Also
	outs     []*tap  // both of these
	progress func(raw, written int64)

	raw, written int64 // so far
}

func newPacker(w io.Writer, src Source, o Options) *packer {
	p := &packer{w: w, progress: o.Progress}
	jobs := jobsFor(o.Workers) + int(min(slackChunks, slackMemory/(2*o.ChunkSize)))
	if n := src.Size(); n >= 0 { // no more than the source can fill, and one to find its end with
		jobs = int(min(int64(jobs), n/o.ChunkSize+2))
	}
	p.free = make(chan *packJob, jobs)
	for range jobs {
		j := &packJob{}
		j.done = func() {
			if j.refs.Add(-1) == 0 {
				p.free <- j
			}
		}
		p.free <- j
	}
	p.next = func(_ context.Context, j *packJob) error { return p.fill(j, o.ChunkSize) }
	p.emit = p.write
	return p
}

func (p *packer) pack(ctx context.Context, src Source, o Options) (Result, error) {
	in, err := src.Open(ctx)
	if err != nil {
		return Result{}, err
	}
	defer in.Close()
	p.in = in
	p.startTaps(o.Also)
	err = p.run(ctx)
	if err == nil {
		err = p.checkSize(src)
	}
	if err == nil && p.table != nil {
		err = p.send(p.table.finish(), func() {})
	}
	res := Result{Size: p.written, RawSize: p.raw}
	if e := p.finishTaps(&res); err == nil {
		err = e
	}
	if err != nil {
		return Result{}, err
	}
	p.progress(p.raw, p.written)
	return res, nil
}

// startTaps starts what sees the bytes beside the encoders and w.
func (p *packer) startTaps(also io.Writer) {
	depth := cap(p.free) + 1 // the table is one more
	p.rawHash = startHasher(depth)
	if p.table != nil {
		p.outHash = startHasher(depth)
		p.outs = append(p.outs, p.outHash.tap)
	}
	if also != nil {
		p.also = startTap(also, depth)
		p.outs = append(p.outs, p.also)
	}
}

// finishTaps waits for them, fills in the sums and returns the error of Options.Also.
func (p *packer) finishTaps(res *Result) error {
	res.RawSHA256 = p.rawHash.sum()
	res.SHA256 = res.RawSHA256
	if p.outHash != nil {
		res.SHA256 = p.outHash.sum()
	}
	if p.also == nil {
		return nil
	}
	return p.also.finish()
}

func (p *packer) checkSize(src Source) error {
	if want := src.Size(); want >= 0 && p.raw != want {
		return fmt.Errorf("%w: %d bytes instead of %d", ErrSourceChanged, p.raw, want)
	}
	return nil
}

// fill reads the next chunk and starts its hash.
func (p *packer) fill(j *packJob, chunk int64) error {
	if j.space == nil {
		j.space = make([]byte, chunk)
		if p.table != nil {
			j.buf = make([]byte, 0, frameBound(chunk))
		}
	}
	n, err := readChunk(p.in, j.space)
	if err != nil {
		return err
	}
	j.raw = j.space[:n]
	j.refs.Store(2) // the hash of the raw side, and emit
	p.rawHash.add(j.raw, j.done)
	return nil
}

func (p *packer) write(j *packJob) error {
	defer j.done()
	if p.table != nil {
		if err := p.table.add(len(j.out), len(j.raw)); err != nil {
			return err
		}
	}
	p.raw += int64(len(j.raw))
	j.refs.Add(int32(len(p.outs)))
	if err := p.send(j.out, j.done); err != nil {
		return err
	}
	p.progress(p.raw, p.written)
	return nil
}

// send writes b to w and all outs; each of these calls release when it has read it.
func (p *packer) send(b []byte, release func()) error {
	for _, t := range p.outs {
		t.add(b, release)
	}
	n, err := p.w.Write(b)
	p.written += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	return nil
}

// readChunk fills b, or what is left of it, and returns io.EOF for nothing left. Unlike io.ReadFull it does not take an
// io.ErrUnexpectedEOF of a source (a download cut short) for the end of the data.
func readChunk(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	if err == io.EOF && n > 0 || n == len(b) {
		return n, nil
	}
	return n, err
}
