package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/archive"
)

func TestRoundTripOfSizesAroundTheChunk(t *testing.T) {
	const c = archive.MinChunk
	for _, n := range []int{0, 1, 100, 255, 256, c - 1, c, c + 1, 2 * c, 7*c + 13} {
		for _, level := range []archive.Level{archive.Fastest, archive.Balanced, archive.Better, archive.Best} {
			raw := noise(uint64(n), n)
			b, res := packBytes(t, raw, archive.Options{ChunkSize: c, Level: level, Workers: 2})
			if res.Chunk != c || res.Level != string(level) || res.Encoder != archive.Encoder() {
				t.Errorf("%d bytes: Result = %+v", n, res)
			}
			dst := t.TempDir()
			if err := extract(t.Context(), b, dst, signed(res, "f")); err != nil {
				t.Fatalf("%d bytes at %s: %v", n, level, err)
			}
			checkFile(t, filepath.Join(dst, "f"), raw)
			checkNames(t, dst, "f")
		}
	}
}

func TestBytesDoNotDependOnWorkersOrSource(t *testing.T) {
	raw := noise(1, 150*archive.MinChunk+77)
	path := writeFile(t, t.TempDir(), "data.ldb", raw, 0o600)
	for _, level := range []archive.Level{archive.Fastest, archive.Balanced, archive.Better, archive.Best} {
		want, wantRes := packBytes(t, raw, archive.Options{ChunkSize: 4 * archive.MinChunk, Level: level, Workers: 1})
		for _, workers := range []int{0, 1, 2, 7} {
			src, err := archive.FileSource(path)
			if err != nil {
				t.Fatal(err)
			}
			got, res := pack(t, src, archive.Options{ChunkSize: 4 * archive.MinChunk, Level: level, Workers: workers})
			if !bytes.Equal(got, want) || !cmp.Equal(res, wantRes) {
				t.Errorf("level %s with %d workers: other bytes or result than with one", level, workers)
			}
		}
	}
}

// The zero options are part of what publishers rely on.
func TestDefaults(t *testing.T) {
	_, res := packBytes(t, noise(1, 1000), archive.Options{})
	if res.Chunk != 4<<20 || res.Level != "better" {
		t.Errorf("chunk %d, level %s, want 4 MiB, better", res.Chunk, res.Level)
	}
}

func TestOptionsThatAreRefused(t *testing.T) {
	for _, o := range []archive.Options{{ChunkSize: 100}, {ChunkSize: archive.MinChunk + 1}, {ChunkSize: 32 << 20}, {ChunkSize: -4096}, {Level: "ultra"}} {
		if _, err := archive.Write(t.Context(), io.Discard, archive.ReaderSource("x", strings.NewReader("x")), o); err == nil {
			t.Errorf("Write with %+v: no error", o)
		}
	}
	if _, err := archive.ParseLevel("9"); err == nil {
		t.Error("ParseLevel(9): no error")
	}
}

func TestCopyPassesThrough(t *testing.T) {
	raw := noise(3, 9*archive.MinChunk+1)
	var b bytes.Buffer
	var last [2]int64
	o := small
	o.Progress = func(raw, written int64) { last = [2]int64{raw, written} }
	res, err := archive.Copy(t.Context(), &b, archive.ReaderSource("x.zst", bytes.NewReader(raw)), o)
	if err != nil {
		t.Fatal(err)
	}
	sum, n := sha256.Sum256(raw), int64(len(raw))
	if want := (archive.Result{Size: n, RawSize: n, SHA256: sum, RawSHA256: sum}); res != want || !bytes.Equal(b.Bytes(), raw) {
		t.Errorf("Copy = %+v, want %+v", res, want)
	}
	if last != [2]int64{n, n} {
		t.Errorf("last progress = %v, want %d twice", last, n)
	}
}

func TestProgressGrowsToTheEnd(t *testing.T) {
	var raws []int64
	o := small
	o.Progress = func(raw, written int64) { raws = append(raws, raw) }
	packBytes(t, noise(4, 5*archive.MinChunk), o)
	want := []int64{4096, 8192, 12288, 16384, 20480, 20480} // the last one counts the table's bytes
	if diff := cmp.Diff(want, raws); diff != "" {
		t.Errorf("raw progress (-want +got):\n%s", diff)
	}
}

// brokenWriter fails after n bytes.
type brokenWriter struct{ n int }

var errBroken = errors.New("disk full")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.n -= len(p); w.n < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func TestWriteReportsTheWritersError(t *testing.T) {
	raw := noise(5, 40*archive.MinChunk)
	b, _ := packBytes(t, raw, small)
	for n := 0; n < len(b); n += len(b) / 30 {
		_, err := archive.Write(t.Context(), &brokenWriter{n}, archive.ReaderSource("x", bytes.NewReader(raw)), small)
		if !errors.Is(err, errBroken) {
			t.Errorf("after %d bytes: %v, want %v", n, err, errBroken)
		}
	}
}

// A stream that breaks off must never become a shorter snapshot.
func TestAlsoGetsWhatTheWriterGets(t *testing.T) {
	raw := noise(3, 300*archive.MinChunk+5)
	for name, write := range map[string]func(context.Context, io.Writer, archive.Source, archive.Options) (archive.Result, error){
		"Write": archive.Write, "Copy": archive.Copy,
	} {
		var b, also bytes.Buffer
		o := small
		o.Also = &also
		res, err := write(t.Context(), &b, archive.ReaderSource("x", bytes.NewReader(raw)), o)
		if err != nil || res.Size != int64(b.Len()) || res.SHA256 != sha256.Sum256(b.Bytes()) || res.RawSHA256 != sha256.Sum256(raw) {
			t.Errorf("%s = %+v, %v, which is not what it wrote", name, res, err)
		}
		if !bytes.Equal(also.Bytes(), b.Bytes()) {
			t.Errorf("%s: Also got %d other bytes than the writer's %d", name, also.Len(), b.Len())
		}
	}
}

func TestWriteReportsTheErrorOfAlso(t *testing.T) {
	broken := errors.New("broken")
	r, w := io.Pipe()
	must(t, r.CloseWithError(broken))
	o := small
	o.Also = w
	src := archive.ReaderSource("x", bytes.NewReader(noise(3, 300*archive.MinChunk)))
	if _, err := archive.Write(t.Context(), io.Discard, src, o); !errors.Is(err, broken) {
		t.Errorf("Write = %v, want %v", err, broken)
	}
}

// A source that never ends must stop at a reader that does not read, or it would fill the memory.
func TestWriteWaitsForAlso(t *testing.T) {
	const many = 100 << 20
	r, w := io.Pipe()
	o := small
	o.Also = w
	var written atomic.Int64
	done := make(chan error, 1)
	go func() {
		src := archive.ReaderSource("x", &repeated{noise(4, archive.MinChunk), many})
		_, err := archive.Copy(t.Context(), countingWriter{&written}, src, o)
		done <- err
	}()
	if _, err := io.ReadFull(r, make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	if n := written.Load(); n > many/2 {
		t.Errorf("the writer has %d bytes while the other one has 1 MiB", n)
	}
	if n, err := io.CopyN(io.Discard, r, many-1<<20); err != nil {
		t.Errorf("the other one got %d bytes more: %v", n, err)
	}
	if err := <-done; err != nil || written.Load() != many {
		t.Errorf("Copy wrote %d bytes: %v", written.Load(), err)
	}
}

type countingWriter struct{ n *atomic.Int64 }

func (w countingWriter) Write(p []byte) (int, error) {
	w.n.Add(int64(len(p)))
	return len(p), nil
}

func TestWriteReportsTheSourcesError(t *testing.T) {
	for _, cause := range []error{errBroken, io.ErrUnexpectedEOF} {
		for _, n := range []int{0, 1, archive.MinChunk, 3*archive.MinChunk + 5} {
			r := io.MultiReader(bytes.NewReader(noise(1, n)), iotest.ErrReader(cause))
			if _, err := archive.Write(t.Context(), io.Discard, archive.ReaderSource("x", r), small); !errors.Is(err, cause) {
				t.Errorf("after %d bytes: %v, want %v", n, err, cause)
			}
		}
	}
}

func TestWriteStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := small
	o.Progress = func(raw, _ int64) {
		if raw > 100*archive.MinChunk {
			cancel()
		}
	}
	_, err := archive.Write(ctx, io.Discard, archive.ReaderSource("endless", endless{}), o)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Write = %v, want %v", err, context.Canceled)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestWriteStopsWhileItsInputIsSilent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	defer w.Close()
	go func() {
		defer cancel()
		if _, err := w.Write(make([]byte, archive.MinChunk)); err != nil { // returns once it was read
			t.Error(err)
		}
	}()
	_, err := archive.Write(ctx, io.Discard, archive.ReaderSource("silent", r), small)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Write = %v, want %v", err, context.Canceled)
	}
}

// A binary with build information names what is linked, any other the constant: they must agree.
func TestEncoderNamesTheVersionOfTheModuleFile(t *testing.T) {
	b, err := os.ReadFile("../../go.mod")
	must(t, err)
	m := regexp.MustCompile(`\tgithub\.com/(klauspost/compress v\S+)`).FindSubmatch(b)
	if m == nil {
		t.Fatal("go.mod does not name klauspost/compress")
	}
	if got := archive.FallbackEncoder; got != string(m[1]) {
		t.Errorf("fallback is %q, go.mod says %q", got, m[1])
	}
	if got := archive.Encoder(); got != string(m[1]) {
		t.Errorf("Encoder() = %q, go.mod says %q", got, m[1])
	}
}
