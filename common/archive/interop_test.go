package archive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	seekable "github.com/SaveTheRbtz/zstd-seekable-format-go/pkg"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"snapswarm/common/archive"
)

func TestZstdOpensEveryArchive(t *testing.T) {
	tool(t, "zstd")
	for _, n := range []int{0, 1, 255, 256, archive.MinChunk, 5*archive.MinChunk + 3} {
		for _, level := range []archive.Level{archive.Fastest, archive.Better, archive.Best} {
			raw := noise(uint64(n), n)
			b, _ := packBytes(t, raw, archive.Options{ChunkSize: archive.MinChunk, Level: level})
			if got := run(t, bytes.NewReader(b), "", "zstd", "-dc"); !bytes.Equal(got, raw) {
				t.Errorf("zstd -d of %d bytes at level %s gives %d others", n, level, len(got))
			}
		}
	}
	raw := make([]byte, archive.MaxChunk+1) // the largest frames need no --long
	b, _ := packBytes(t, raw, archive.Options{ChunkSize: archive.MaxChunk})
	if got := run(t, bytes.NewReader(b), "", "zstd", "-dc"); !bytes.Equal(got, raw) {
		t.Error("zstd -d of the largest chunk gives other bytes")
	}
}

func TestTarUnpacksEveryTree(t *testing.T) {
	tool(t, "zstd")
	for seed := range uint64(4) {
		dir, dst := t.TempDir(), t.TempDir()
		randomTree(t, seed, dir)
		b, _ := pack(t, dirSource(t, dir), small)
		raw := run(t, bytes.NewReader(b), "", "zstd", "-dc")
		run(t, bytes.NewReader(raw), dst, "tar", "-x", "--no-same-owner", "-f", "-")
		if diff := cmp.Diff(tree(t, dir), tree(t, dst)); diff != "" {
			t.Errorf("seed %d (-packed +tar -x):\n%s", seed, diff)
		}
	}
}

func TestExtractUnpacksWhatTarPacked(t *testing.T) {
	dir, dst := t.TempDir(), filepath.Join(t.TempDir(), "out")
	randomTree(t, 3, dir)
	b, res := packBytes(t, run(t, nil, dir, "tar", "-c", "-f", "-", "."), small)
	must(t, extract(t.Context(), b, dst, signed(res, "")))
	if diff := cmp.Diff(tree(t, dir), tree(t, dst)); diff != "" {
		t.Errorf("-packed +extracted:\n%s", diff)
	}
}

// Another implementation of the seekable format reads the same frames at the same places.
func TestSeekTableIsReadByAnotherImplementation(t *testing.T) {
	raw := noise(11, 6*archive.MinChunk+10)
	b, _ := packBytes(t, raw, small)
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	must(t, err)
	defer dec.Close()
	r, err := seekable.NewReader(bytes.NewReader(b), dec)
	if err != nil {
		t.Fatalf("seekable.NewReader: %v", err)
	}
	defer r.Close()
	for _, off := range []int{0, 1, archive.MinChunk - 1, archive.MinChunk, len(raw) - 1} {
		got := make([]byte, min(5000, len(raw)-off))
		if _, err := r.ReadAt(got, int64(off)); err != nil && !errors.Is(err, io.EOF) || !bytes.Equal(got, raw[off:off+len(got)]) {
			t.Errorf("at %d: %v, or other bytes", off, err)
		}
	}
}

// And a table with checksums, which our archives do not have, is refused in words rather than misread.
func TestForeignSeekableArchiveIsRefused(t *testing.T) {
	var b bytes.Buffer
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	must(t, err)
	w, err := seekable.NewWriter(&b, enc)
	must(t, err)
	_, err = w.Write(make([]byte, archive.MinChunk))
	must(t, err)
	must(t, w.Close())
	_, err = archive.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()), archive.Limits{RawSize: archive.MinChunk})
	if err == nil {
		t.Error("NewReader: no error")
	}
}

func ExampleWrite() {
	raw := bytes.Repeat([]byte("block "), 10_000)
	var out bytes.Buffer
	res, err := archive.Write(context.Background(), &out, archive.ReaderSource("blocks", bytes.NewReader(raw)), archive.Options{})
	fmt.Println(res.RawSize, res.Level, err)

	r, err := archive.NewReader(bytes.NewReader(out.Bytes()), res.Size, archive.Limits{RawSize: res.RawSize, Chunk: res.Chunk})
	part := make([]byte, 5)
	if err == nil {
		_, err = r.ReadAt(part, 6*777)
	}
	fmt.Println(string(part), r.Frames(), err)
	// Output:
	// 60000 better <nil>
	// block 1 <nil>
}
