package archive_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"

	"snapswarm/common/archive"
)

// benchSource is real data that every machine with Go has: 137 MB in 12,000 small files.
func benchSource(b *testing.B) archive.Source {
	b.Helper()
	root := run(b, nil, "", "go", "env", "GOROOT")
	src, err := archive.DirSource(b.Context(), filepath.Join(string(bytes.TrimSpace(root)), "src"))
	if err != nil {
		b.Skipf("no Go sources: %v", err)
	}
	return src
}

var benchLevels = []archive.Level{archive.Fastest, archive.Balanced, archive.Better}

// BenchmarkWrite is the whole pipeline; the same data through the encoders alone is BenchmarkEncodeAlone.
func BenchmarkWrite(b *testing.B) {
	src := benchSource(b)
	for _, level := range benchLevels {
		b.Run(string(level), func(b *testing.B) {
			b.SetBytes(src.Size())
			b.ReportAllocs()
			var res archive.Result
			for b.Loop() {
				var err error
				if res, err = archive.Write(b.Context(), io.Discard, src, archive.Options{Level: level}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(res.Size)/float64(res.RawSize), "ratio")
		})
	}
}

// BenchmarkEncodeAlone feeds the same chunks from memory to as many encoders, with nothing around them.
func BenchmarkEncodeAlone(b *testing.B) {
	raw := readSource(b, benchSource(b))
	for _, level := range benchLevels {
		b.Run(string(level), func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				encodeAlone(b, raw, level)
			}
		})
	}
}

func encodeAlone(b *testing.B, raw []byte, level archive.Level) {
	chunks := make(chan []byte)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		_, l := zstd.EncoderLevelFromString(string(level))
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(l), zstd.WithWindowSize(archive.DefaultChunk))
		if err != nil {
			b.Fatal(err)
		}
		wg.Go(func() {
			var out []byte
			for c := range chunks {
				out = enc.EncodeAll(c, out[:0])
			}
		})
	}
	for len(raw) > 0 {
		n := min(len(raw), archive.DefaultChunk)
		chunks <- raw[:n]
		raw = raw[n:]
	}
	close(chunks)
	wg.Wait()
}

func BenchmarkDecode(b *testing.B) {
	var buf bytes.Buffer
	res, err := archive.Write(b.Context(), &buf, benchSource(b), archive.Options{})
	if err != nil {
		b.Fatal(err)
	}
	r, err := archive.NewReader(bytes.NewReader(buf.Bytes()), res.Size, archive.Limits{RawSize: res.RawSize})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(res.RawSize)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.Decode(b.Context(), io.Discard, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExtract(b *testing.B) {
	var buf bytes.Buffer
	res, err := archive.Write(b.Context(), &buf, benchSource(b), archive.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(res.RawSize)
	dir := b.TempDir()
	for b.Loop() {
		dst := filepath.Join(dir, "out")
		if err := extract(b.Context(), buf.Bytes(), dst, signed(res, "")); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		must(b, os.RemoveAll(dst))
		b.StartTimer()
	}
}

func readSource(b *testing.B, src archive.Source) []byte {
	b.Helper()
	rc, err := src.Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer rc.Close()
	raw, err := io.ReadAll(rc)
	if err != nil {
		b.Fatal(err)
	}
	return raw
}
