package archive_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"snapswarm/common/archive"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The golden files freeze FORMAT.md and the encoder. A difference means that new archives are no longer those that followers
// rebuild from patches: never update them without saying so in the commit.
func TestGolden(t *testing.T) {
	for _, level := range []archive.Level{archive.Fastest, archive.Balanced, archive.Better, archive.Best} {
		b, _ := packBytes(t, goldenData(), archive.Options{ChunkSize: archive.MinChunk, Level: level})
		golden(t, "file-"+string(level)+".zst", b)
	}
	b, _ := packBytes(t, nil, archive.Options{})
	golden(t, "empty.zst", b)
	b, res := pack(t, dirSource(t, goldenTree(t)), archive.Options{ChunkSize: archive.MinChunk})
	golden(t, "tree.tar.zst", b)

	dst := filepath.Join(t.TempDir(), "out")
	must(t, extract(t.Context(), b, dst, signed(res, "")))
	var raw bytes.Buffer
	must(t, open(t, b, archive.Limits{RawSize: res.RawSize}).Decode(t.Context(), &raw, 1))
	golden(t, "tree.tar", raw.Bytes())
}

// goldenData compresses a little: text, counters and noise.
func goldenData() []byte {
	b := noise(42, 2*archive.MinChunk)
	for i := range 200 {
		b = append(b, "block "...)
		b = append(b, byte(i), byte(i>>4), 0, 0)
	}
	return append(b, noise(43, 3000)...)
}

// goldenTree has one of everything that shapes a header.
func goldenTree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	writeFile(t, dir, "CURRENT", []byte("MANIFEST-000001\n"), 0o600)
	writeFile(t, dir, "bin/tool", []byte("#!/bin/sh\n"), 0o700)
	writeFile(t, dir, "db/"+string(bytes.Repeat([]byte("n"), 101)), nil, 0o600) // too long for USTAR's name alone
	writeFile(t, dir, "db/日本", []byte("PAX\n"), 0o600)
	writeFile(t, dir, "db/block", make([]byte, 512), 0o600)
	setTime(t, filepath.Join(dir, "CURRENT"), time.Unix(-1, 500_000_000))
	for _, name := range []string{"bin", "db"} {
		setTime(t, filepath.Join(dir, name), time.Unix(1_700_000_000, 0))
	}
	return dir
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes, the golden file has %d others", name, len(got), len(want))
	}
}
