package main

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd" //nolint:depguard // the encoder alone, without package archive, is what that is compared with

	"snapswarm/common/archive"
)

// The arguments that make this program a child process which compresses a file and throws the result away.
const (
	encodeAlone = "encode-alone" // and nothing else
	encodeHash  = "encode-hash"  // and hashes as much as a snapshot needs
)

// runEncode is the least that anybody can do to compress a file on all cores with the encoder and the settings of package
// archive: no order, no copies, no output. It prints the size of all frames, so that the caller can see that it was the same
// work.
func runEncode(path string, hashes bool, out io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	e := &encoding{file: f}
	if hashes {
		e.sinks = []*sink{{Hash: sha256.New(), raw: true}, {Hash: sha256.New()}, {Hash: sha1.New()}}
	}
	var wg sync.WaitGroup
	errs := make([]error, runtime.GOMAXPROCS(0))
	for i := range errs {
		wg.Go(func() { errs[i] = e.chunks() })
	}
	wg.Wait()
	fmt.Fprintln(out, e.total.Load())
	return errors.Join(errs...)
}

type encoding struct {
	file        io.ReaderAt
	next, total atomic.Int64 // chunk; bytes of all frames
	sinks       []*sink
}

// sink is a hash that sees the chunks in any order: the sum means nothing, the work is that of a real one.
type sink struct {
	sync.Mutex
	hash.Hash
	raw bool // hashes what goes into the encoder
}

// chunks takes one chunk after the other until the file ends.
func (e *encoding) chunks() error {
	_, level := zstd.EncoderLevelFromString(string(archive.Better))
	enc, err := zstd.NewWriter(nil,
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(level), zstd.WithEncoderCRC(true),
		zstd.WithSingleSegment(true), zstd.WithWindowSize(archive.DefaultChunk), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return err
	}
	raw := make([]byte, archive.DefaultChunk)
	frame := make([]byte, 0, 2*archive.DefaultChunk)
	for {
		n, err := e.file.ReadAt(raw, (e.next.Add(1)-1)*archive.DefaultChunk)
		if n > 0 {
			frame = enc.EncodeAll(raw[:n], frame[:0])
			e.total.Add(int64(len(frame)))
			e.hash(raw[:n], frame)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (e *encoding) hash(raw, frame []byte) {
	for _, s := range e.sinks {
		b := frame
		if s.raw {
			b = raw
		}
		s.Lock()
		_, _ = s.Write(b) // never fails
		s.Unlock()
	}
}
