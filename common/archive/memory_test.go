package archive_test

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"snapswarm/common/archive"
)

// repeated yields n bytes of the same block.
type repeated struct {
	block []byte
	n     int64
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), r.n)], r.block)
	r.n -= int64(n)
	return n, nil
}

// allocated is how many bytes f allocates in all, whether they are freed or not.
func allocated(t *testing.T, f func()) uint64 {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Five times the data must not allocate more: every buffer is used again. And the buffers of a machine of many cores stay
// within the budget.
func TestMemoryDoesNotGrowWithTheData(t *testing.T) {
	const chunk = 1 << 20
	block := noise(1, 64<<10)
	path := filepath.Join(t.TempDir(), "archive")
	var res archive.Result
	write := func(n int64, workers int) func() {
		return func() {
			f, err := os.Create(path)
			must(t, err)
			defer f.Close()
			src := archive.ReaderSource("x", &repeated{block, n})
			res, err = archive.Write(t.Context(), f, src, archive.Options{ChunkSize: chunk, Workers: workers, Level: archive.Fastest})
			must(t, err)
		}
	}
	read := func() {
		f, err := os.Open(path)
		must(t, err)
		defer f.Close()
		r, err := archive.NewReader(f, res.Size, archive.Limits{RawSize: res.RawSize})
		must(t, err)
		must(t, r.Decode(t.Context(), io.Discard, 2))
	}
	little, littleRead := allocated(t, write(16*chunk, 2)), allocated(t, read)
	much, muchRead := allocated(t, write(80*chunk, 2)), allocated(t, read)
	t.Logf("write: %d KiB for 16 MiB, %d for 80; decode: %d, %d", little>>10, much>>10, littleRead>>10, muchRead>>10)
	if much > little+2*chunk {
		t.Errorf("Write allocates %d KiB for 16 MiB and %d for 80", little>>10, much>>10)
	}
	if muchRead > littleRead+4*chunk {
		t.Errorf("Decode allocates %d KiB for 16 MiB and %d for 80", littleRead>>10, muchRead>>10)
	}
	const budget = 192 << 20
	if many := allocated(t, write(120*chunk, 1000)); many > budget+budget/8 {
		t.Errorf("Write with 1000 workers allocates %d MiB, the budget is %d", many>>20, budget>>20)
	}
}

// The table decides what a reader allocates, and the limits decide what a table may say.
func TestHostileTableAllocatesNothing(t *testing.T) {
	b := build(nil)
	for i := range 4 {
		b[len(b)-9+i] = 0xff
	}
	if got := allocated(t, func() {
		if err := extract(t.Context(), b, t.TempDir(), archive.ExtractOptions{RawSize: 1 << 60, RawName: "f"}); err == nil {
			t.Error("Extract: no error")
		}
	}); got > 1<<20 {
		t.Errorf("a table of 2^32-1 frames makes the reader allocate %d bytes", got)
	}
}
