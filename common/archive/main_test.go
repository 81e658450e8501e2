package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"snapswarm/common/archive"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small makes many frames out of little data.
var small = archive.Options{ChunkSize: archive.MinChunk, Level: archive.Fastest, Workers: 3}

// pack returns the archive of src and checks the result against it.
func pack(t testing.TB, src archive.Source, o archive.Options) ([]byte, archive.Result) {
	t.Helper()
	var b bytes.Buffer
	res, err := archive.Write(t.Context(), &b, src, o)
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	if res.Size != int64(b.Len()) || res.SHA256 != sha256.Sum256(b.Bytes()) {
		t.Fatalf("Write says %d bytes with SHA-256 %x, wrote %d with %x", res.Size, res.SHA256, b.Len(), sha256.Sum256(b.Bytes()))
	}
	return b.Bytes(), res
}

func packBytes(t testing.TB, raw []byte, o archive.Options) ([]byte, archive.Result) {
	t.Helper()
	b, res := pack(t, archive.ReaderSource("raw", bytes.NewReader(raw)), o)
	if res.RawSize != int64(len(raw)) || res.RawSHA256 != sha256.Sum256(raw) {
		t.Fatalf("Write says %d raw bytes with SHA-256 %x, got %d with %x", res.RawSize, res.RawSHA256, len(raw), sha256.Sum256(raw))
	}
	return b, res
}

func signed(res archive.Result, name string) archive.ExtractOptions {
	return archive.ExtractOptions{RawSize: res.RawSize, RawSHA256: res.RawSHA256, Chunk: res.Chunk, RawName: name, Tar: name == ""}
}

func extract(ctx context.Context, b []byte, dst string, o archive.ExtractOptions) error {
	return archive.Extract(ctx, bytes.NewReader(b), int64(len(b)), dst, o)
}

// noise is data of which about a half compresses, the same for the same seed.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := 0; i < n; {
		run := min(n-i, 1+r.IntN(200))
		if r.IntN(2) == 0 {
			for j := range run {
				b[i+j] = byte(r.Uint32())
			}
		} else if i > 0 {
			from := r.IntN(i)
			for j := range run {
				b[i+j] = b[from+j]
			}
		}
		i += run
	}
	return b
}

// writeFile makes a file below dir with a time of its own.
func writeFile(t testing.TB, dir, name string, content []byte, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
	setTime(t, path, time.Unix(1_700_000_000+int64(len(content)), 123456789))
	return path
}

func setTime(t testing.TB, path string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

// randomTree fills dir with files of the sizes and names that have a special case somewhere.
func randomTree(t testing.TB, seed uint64, dir string) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 2))
	sizes := []int{0, 1, 511, 512, 513, 4095, 4096, 4097, 128 << 10, 128<<10 + 1, 300_000}
	names := []string{"a", "CURRENT", "Zz", "000012.sst", "space in name", "ünïcode-日本", "-rf", "tab\tname", strings.Repeat("long", 40), ".hidden"}
	dirs := []string{"", "db", "db/sub", "db-x", "ünï", strings.Repeat("d", 120), "deep/" + strings.Repeat("e/", 40) + "end"}
	for range 5 + r.IntN(40) {
		name := dirs[r.IntN(len(dirs))] + "/" + names[r.IntN(len(names))]
		mode := fs.FileMode(0o640)
		if r.IntN(4) == 0 {
			mode = 0o700
		}
		writeFile(t, dir, name, noise(r.Uint64(), sizes[r.IntN(len(sizes))]), mode)
	}
	if err := os.MkdirAll(filepath.Join(dir, "empty", "inner"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// tree describes all that an archive keeps of a directory.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		at := fi.ModTime().Truncate(time.Second).UTC().Format(time.RFC3339)
		if d.IsDir() {
			got[rel] = "directory " + at
			return nil
		}
		b, err := os.ReadFile(path)
		sum := sha256.Sum256(b)
		kind := "file "
		if fi.Mode()&0o100 != 0 {
			kind = "program "
		}
		got[rel] = kind + fi.Mode().Type().String() + " " + at + " " + string(bytes.ToUpper(sum[:4]))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func dirSource(t testing.TB, dir string) archive.Source {
	t.Helper()
	src, err := archive.DirSource(t.Context(), dir)
	if err != nil {
		t.Fatalf("DirSource: %v", err)
	}
	return src
}

// checkNames fails unless exactly these names are in dir.
func checkNames(t testing.TB, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names in %s (-want +got):\n%s", filepath.Base(dir), diff)
	}
}

// tool returns the path of a program, or skips the test by its name.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed: %v", name, err)
	}
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

func run(t testing.TB, stdin io.Reader, dir, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	cmd.Stdin, cmd.Dir = stdin, dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, stderr.String())
	}
	return out
}
