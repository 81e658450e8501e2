package archive_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/archive"
)

func TestRoundTripOfRandomTrees(t *testing.T) {
	for seed := range uint64(12) {
		dir, dst := t.TempDir(), filepath.Join(t.TempDir(), "out")
		randomTree(t, seed, dir)
		src := dirSource(t, dir)
		b, res := pack(t, src, small)
		if res.RawSize != src.Size() {
			t.Errorf("seed %d: %d raw bytes, planned were %d", seed, res.RawSize, src.Size())
		}
		if err := extract(t.Context(), b, dst, signed(res, "")); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if diff := cmp.Diff(tree(t, dir), tree(t, dst)); diff != "" {
			t.Errorf("seed %d (-packed +extracted):\n%s", seed, diff)
		}
		again, _ := pack(t, dirSource(t, dst), small)
		if !bytes.Equal(again, b) {
			t.Errorf("seed %d: packing what was extracted gives another archive", seed)
		}
	}
}

func TestTarOfATree(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "b/file", []byte("hello"), 0o4711)
	writeFile(t, dir, "a.txt", nil, 0o600)
	writeFile(t, dir, "b-x", nil, 0o600)
	at := time.Unix(1_600_000_000, 999_999_999)
	setTime(t, filepath.Join(dir, "b"), at)
	rc, err := dirSource(t, dir).Open(t.Context())
	must(t, err)
	defer rc.Close()
	raw, err := io.ReadAll(rc)
	must(t, err)
	type entry struct {
		Name       string
		Type       byte
		Mode, Time int64
		Format     tar.Format
		Uid, Gid   int
		Owner      string
	}
	var got []entry
	for r := tar.NewReader(bytes.NewReader(raw)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		got = append(got, entry{h.Name, h.Typeflag, h.Mode, h.ModTime.Unix(), h.Format, h.Uid, h.Gid, h.Uname + h.Gname})
	}
	want := []entry{
		{"a.txt", tar.TypeReg, 0o644, 1_700_000_000, tar.FormatUSTAR, 0, 0, ""},
		{"b/", tar.TypeDir, 0o755, 1_600_000_000, tar.FormatUSTAR, 0, 0, ""},
		{"b/file", tar.TypeReg, 0o755, 1_700_000_005, tar.FormatUSTAR, 0, 0, ""},
		{"b-x", tar.TypeReg, 0o644, 1_700_000_000, tar.FormatUSTAR, 0, 0, ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if len(raw) != 4*512+512+1024 {
		t.Errorf("tar has %d bytes, want %d", len(raw), 4*512+512+1024)
	}
}

func TestExtractTreeIntoPlaces(t *testing.T) {
	src := t.TempDir()
	writeFile(t, src, "db/data", noise(1, 10_000), 0o600)
	writeFile(t, src, "VERSION", []byte("1"), 0o600)
	b, res := pack(t, dirSource(t, src), small)
	for name, prepare := range map[string]func(t *testing.T, dst string){
		"nothing there":             func(*testing.T, string) {},
		"an empty directory":        func(t *testing.T, dst string) { must(t, os.Mkdir(dst, 0o700)) },
		"a fresh volume":            func(t *testing.T, dst string) { must(t, os.MkdirAll(dst+"/lost+found", 0o700)) },
		"remains of a killed run":   func(t *testing.T, dst string) { writeFile(t, dst, "../.out.extracting/db/data", nil, 0o600) },
		"remains inside of a mount": func(t *testing.T, dst string) { writeFile(t, dst, ".extracting/db/data", nil, 0o600) },
		"a link to a directory": func(t *testing.T, dst string) {
			must(t, os.Mkdir(dst+"-real", 0o700))
			must(t, os.Symlink("out-real", dst))
		},
	} {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			dst := filepath.Join(parent, "out")
			prepare(t, dst)
			must(t, extract(t.Context(), b, dst, signed(res, "")))
			got := tree(t, dst+"/.")
			delete(got, "lost+found")
			if diff := cmp.Diff(tree(t, src), got); diff != "" {
				t.Errorf("-packed +extracted:\n%s", diff)
			}
			if left, _ := filepath.Glob(parent + "/.*extracting"); left != nil {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestExtractNeverOverwrites(t *testing.T) {
	src := t.TempDir()
	writeFile(t, src, "a", []byte("new"), 0o600)
	b, res := pack(t, dirSource(t, src), small)
	full := t.TempDir()
	writeFile(t, full, "a", []byte("old"), 0o600)
	file := writeFile(t, t.TempDir(), "x", []byte("old"), 0o600)
	for _, dst := range []string{full, file} {
		if err := extract(t.Context(), b, dst, signed(res, "")); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Extract into %s = %v, want %v", dst, err, fs.ErrExist)
		}
	}
	b, res = packBytes(t, []byte("new"), small)
	if err := extract(t.Context(), b, full, signed(res, "a")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Extract of a file = %v, want %v", err, fs.ErrExist)
	}
	checkFile(t, filepath.Join(full, "a"), []byte("old"))
	checkFile(t, file, []byte("old"))
}

// hostile is a tar of these entries; the content of a file is its name.
func hostile(t testing.TB, entries ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		must(t, w.WriteHeader(h))
		if h.Typeflag == tar.TypeReg {
			_, err := io.WriteString(w, h.Name)
			must(t, err)
		}
	}
	must(t, w.Close())
	return b.Bytes()
}

func file(name string) *tar.Header { return &tar.Header{Name: name, Mode: 0o644} }
func link(name, to string, kind byte) *tar.Header {
	return &tar.Header{Name: name, Linkname: to, Typeflag: kind}
}

func TestExtractRefusesHostileTrees(t *testing.T) {
	sparse := file("s")
	sparse.PAXRecords = map[string]string{"VENDOR.x": "1"}
	big := bytes.Replace(hostile(t, sparse), []byte("VENDOR.x=1"), []byte("GNU.sparse"), 1) // broken on purpose
	gnu := hostile(t, file("s"))
	gnu[156] = 'S'
	resum(gnu)
	long := hostile(t, file("x"))
	copy(long[124:], "77777777777\x00")
	resum(long)
	for name, tt := range map[string]struct {
		tar  []byte
		want error
	}{
		"an absolute path":            {hostile(t, file("/tmp/x")), archive.ErrUnsafePath},
		"a path above":                {hostile(t, file("../x")), archive.ErrUnsafePath},
		"a path above in the middle":  {hostile(t, file("a/../../x")), archive.ErrUnsafePath},
		"a path with dots":            {hostile(t, file("a/./x")), archive.ErrUnsafePath},
		"an empty element":            {hostile(t, file("a//x")), archive.ErrUnsafePath},
		"a file as the root":          {hostile(t, file("./.")), archive.ErrUnsafePath},
		"a name that is too long":     {hostile(t, file(strings.Repeat("n", 256))), archive.ErrUnsafePath},
		"a path that is too long":     {hostile(t, file(strings.Repeat("nnn/", 1100)+"n")), archive.ErrUnsafePath},
		"a name that is not UTF-8":    {hostile(t, &tar.Header{Name: "a\xff", Format: tar.FormatGNU}), archive.ErrUnsafePath},
		"a file twice":                {hostile(t, file("x"), file("x")), archive.ErrUnsafePath},
		"a directory over a file":     {hostile(t, file("x"), &tar.Header{Name: "x/", Typeflag: tar.TypeDir}), archive.ErrUnsafePath},
		"a file over a directory":     {hostile(t, file("x/y"), file("x")), archive.ErrUnsafePath},
		"a file below a file":         {hostile(t, file("x"), file("x/y")), archive.ErrUnsafePath},
		"a symbolic link":             {hostile(t, link("x", "/etc", tar.TypeSymlink), file("x/passwd")), archive.ErrUnsupportedEntry},
		"a hard link":                 {hostile(t, link("x", "/etc/passwd", tar.TypeLink)), archive.ErrUnsupportedEntry},
		"a device":                    {hostile(t, link("x", "", tar.TypeChar)), archive.ErrUnsupportedEntry},
		"a named pipe":                {hostile(t, link("x", "", tar.TypeFifo)), archive.ErrUnsupportedEntry},
		"a sparse file (PAX)":         {paxSparse(t), archive.ErrUnsupportedEntry},
		"a sparse file (GNU)":         {gnu, archive.ErrCorrupt},
		"a size beyond what's signed": {long, archive.ErrTooLong},
		"a broken PAX record":         {big, archive.ErrCorrupt},
		"a tar cut short":             {hostile(t, file("xyz"))[:514], archive.ErrCorrupt},
		"no tar":                      {noise(9, 5000), archive.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			b, res := packBytes(t, tt.tar, small)
			parent := t.TempDir()
			err := extract(t.Context(), b, filepath.Join(parent, "out"), signed(res, ""))
			if !errors.Is(err, tt.want) {
				t.Errorf("Extract = %v, want %v", err, tt.want)
			}
			checkNames(t, parent)
		})
	}
}

// resum repairs the checksum of the first header after a change.
func resum(b []byte) {
	copy(b[148:], "        ")
	var sum int64
	for _, c := range b[:512] {
		sum += int64(c)
	}
	copy(b[148:], []byte{'0', '0' + byte(sum>>15&7), '0' + byte(sum>>12&7), '0' + byte(sum>>9&7), '0' + byte(sum>>6&7), '0' + byte(sum>>3&7), '0' + byte(sum&7), 0})
}

// paxSparse is a tar of a few blocks whose one file is 1 TiB of nothing.
func paxSparse(t testing.TB) []byte {
	t.Helper()
	h := file("s")
	h.Size = 512
	h.PAXRecords = map[string]string{"XXX.sparse.major": "1", "XXX.sparse.minor": "0", "XXX.sparse.realsize": "1099511627776", "XXX.sparse.name": "s"}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(h))
	_, err := w.Write(append([]byte("1\n1099511627776\n0\n"), make([]byte, 512-18)...)) // the map: no data but its end
	must(t, errors.Join(err, w.Close()))
	raw := bytes.ReplaceAll(b.Bytes(), []byte("XXX.sparse"), []byte("GNU.sparse"))
	return raw
}

// What other tars look like is welcome as far as it is safe.
func TestExtractTakesForeignTars(t *testing.T) {
	raw := hostile(t,
		&tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}},
		&tar.Header{Name: "./", Typeflag: tar.TypeDir},
		&tar.Header{Name: "./a/", Typeflag: tar.TypeDir, Mode: 0},
		&tar.Header{Name: "./a/x", Mode: 0o6777},
		&tar.Header{Name: "./a/", Typeflag: tar.TypeDir},
		file("implied/parents/y"),
	)
	raw = append(raw, make([]byte, 5*512)...) // GNU tar fills its last record
	b, res := packBytes(t, raw, small)
	dst := filepath.Join(t.TempDir(), "out")
	must(t, extract(t.Context(), b, dst, signed(res, "")))
	checkFile(t, filepath.Join(dst, "a", "x"), []byte("./a/x"))
	checkFile(t, filepath.Join(dst, "implied", "parents", "y"), []byte("implied/parents/y"))
	fi, err := os.Stat(filepath.Join(dst, "a", "x"))
	must(t, err)
	if fi.Mode()&^0o755 != 0 || fi.Mode()&0o100 == 0 {
		t.Errorf("mode of a file that was 6777: %v", fi.Mode())
	}
}

func TestExtractTreeStopsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, dir, "a", noise(1, 1_000_000), 0o600)
	b, res := pack(t, dirSource(t, dir), small)
	for _, name := range []string{"", "f"} {
		parent := t.TempDir()
		ctx, cancel := context.WithCancel(t.Context())
		o := signed(res, name)
		o.Progress = func(raw int64) {
			if raw > 100_000 {
				cancel()
			}
		}
		dst := parent
		if name == "" {
			dst = filepath.Join(parent, "out")
		}
		if err := extract(ctx, b, dst, o); !errors.Is(err, context.Canceled) {
			t.Errorf("Extract = %v, want %v", err, context.Canceled)
		}
		checkNames(t, parent)
	}
}

func checkFile(t testing.TB, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes that are not the %d expected", filepath.Base(path), len(got), len(want))
	}
}
