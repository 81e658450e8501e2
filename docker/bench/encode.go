package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zstd" //nolint:depguard // the encoder alone, without package archive, is what that is compared with

	"snapswarm/common/archive"
)

// encodeAlone is the argument that makes this program a child process which compresses a file and throws the result away.
const encodeAlone = "encode-alone"

// runEncodeAlone is the least that anybody can do to compress a file on all cores with the encoder and the settings of package
// archive: no hash, no order, no output. It prints the size of all frames, so that the caller can see that it was the same work.
func runEncodeAlone(path string, out io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var (
		wg          sync.WaitGroup
		next, total atomic.Int64
		errs        = make([]error, runtime.GOMAXPROCS(0))
	)
	for i := range errs {
		wg.Go(func() { errs[i] = encodeChunks(f, &next, &total) })
	}
	wg.Wait()
	fmt.Fprintln(out, total.Load())
	return errors.Join(errs...)
}

// encodeChunks takes one chunk after the other until the file ends.
func encodeChunks(f io.ReaderAt, next, total *atomic.Int64) error {
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
		n, err := f.ReadAt(raw, (next.Add(1)-1)*archive.DefaultChunk)
		if n > 0 {
			total.Add(int64(len(enc.EncodeAll(raw[:n], frame))))
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
