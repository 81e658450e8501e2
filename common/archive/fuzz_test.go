package archive_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"snapswarm/common/archive"
)

// FuzzReader reads any bytes as an archive. What it accepts must hold together and decode to what it says, or fail.
func FuzzReader(f *testing.F) {
	for _, n := range []int{0, 1, archive.MinChunk, 2*archive.MinChunk + 7} {
		b, _ := packBytes(f, noise(uint64(n), n), small)
		f.Add(b, int64(n), int64(archive.MinChunk))
		f.Add(b, int64(-1), int64(0))
	}
	f.Add(build(nil, [2]uint32{1 << 31, 1 << 31}), int64(1<<40), int64(0))
	f.Fuzz(func(t *testing.T, b []byte, raw, chunk int64) {
		r, err := archive.NewReader(bytes.NewReader(b), int64(len(b)), archive.Limits{RawSize: raw, Chunk: chunk, Cache: 1})
		if err != nil {
			return
		}
		if raw >= 0 && r.RawSize() != raw || r.Frames() > len(b) {
			t.Fatalf("accepted %d raw bytes in %d frames for %d signed ones in %d", r.RawSize(), r.Frames(), raw, len(b))
		}
		var off, rawOff int64
		for i := range r.Frames() {
			fr := r.Frame(i)
			if fr.Offset != off || fr.RawOffset != rawOff || fr.Size <= 0 || fr.RawSize <= 0 || fr.RawSize > archive.MaxChunk {
				t.Fatalf("frame %d = %+v", i, fr)
			}
			off, rawOff = off+fr.Size, rawOff+fr.RawSize
		}
		if rawOff != r.RawSize() || off >= int64(len(b)) {
			t.Fatalf("frames end at %d and %d of %d and %d", off, rawOff, len(b), r.RawSize())
		}
		var all bytes.Buffer
		if r.Decode(t.Context(), &all, 1) != nil {
			return
		}
		got := make([]byte, r.RawSize())
		if n, err := r.ReadAt(got, 0); err != nil || n != all.Len() || !bytes.Equal(got, all.Bytes()) {
			t.Fatalf("ReadAt = %d, %v and does not agree with Decode (%d bytes)", n, err, all.Len())
		}
	})
}

// FuzzExtract unpacks any bytes as the tar of a well-formed archive, beside a file that must stay as it is.
func FuzzExtract(f *testing.F) {
	f.Add(hostile(f, file("a"), file("dir/b")))
	f.Add(hostile(f, file("../outside")))
	f.Add(hostile(f, link("l", "..", tar.TypeSymlink), file("l/outside")))
	f.Add(hostile(f, link("l", "../outside", tar.TypeLink), file("l")))
	f.Add(paxSparse(f))
	if b, err := os.ReadFile(filepath.Join("testdata", "tree.tar.golden")); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, res := packBytes(t, raw, archive.Options{ChunkSize: archive.MinChunk, Level: archive.Fastest, Workers: 1})
		parent := t.TempDir()
		must(t, os.WriteFile(filepath.Join(parent, "outside"), []byte("untouched"), 0o644))
		dst := filepath.Join(parent, "dst", "out")
		o := signed(res, "")
		o.Workers = 1
		err := extract(t.Context(), b, dst, o)
		checkNames(t, parent, "dst", "outside")
		checkFile(t, filepath.Join(parent, "outside"), []byte("untouched"))
		if err != nil {
			checkNames(t, filepath.Join(parent, "dst"))
			return
		}
		checkNames(t, filepath.Join(parent, "dst"), "out")
		checkContained(t, dst, int64(len(raw)))
	})
}

// FuzzExtractFile extracts any bytes as an archive of a single file with the hash that its raw data really has.
func FuzzExtractFile(f *testing.F) {
	raw := noise(1, archive.MinChunk+5)
	b, _ := packBytes(f, raw, small)
	f.Add(b, int64(len(raw)), "data.ldb")
	f.Add(b[:len(b)-1], int64(len(raw)), "../x")
	sum := sha256.Sum256(raw)
	f.Fuzz(func(t *testing.T, b []byte, size int64, name string) {
		parent := t.TempDir()
		dst := filepath.Join(parent, "dst")
		err := extract(t.Context(), b, dst, archive.ExtractOptions{RawSize: size, RawSHA256: sum, RawName: name, Workers: 1})
		if err == nil {
			checkNames(t, dst, name)
			checkFile(t, filepath.Join(dst, name), raw)
		} else if _, err := os.Stat(dst); !errors.Is(err, fs.ErrNotExist) {
			checkNames(t, dst)
		}
	})
}

// checkContained: plain files and directories alone, of no more bytes than there were.
func checkContained(t *testing.T, dir string, limit int64) {
	t.Helper()
	var sum int64
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		must(t, err)
		if !fi.Mode().IsRegular() && !fi.IsDir() || fi.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky|0o022) != 0 {
			t.Errorf("%s has mode %v", path, fi.Mode())
		}
		if fi.Mode().IsRegular() {
			sum += fi.Size()
		}
		return nil
	}))
	if sum > limit {
		t.Errorf("%d bytes came out of a tar of %d", sum, limit)
	}
}
