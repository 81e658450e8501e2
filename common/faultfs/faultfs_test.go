//go:build e2e && linux

package faultfs_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"snapswarm/common/durable"
	"snapswarm/common/faultfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// mount is an empty disk and a folder on it.
func mount(t *testing.T) (m *faultfs.Mounted, dir string) {
	t.Helper()
	m = faultfs.Mount(t)
	return m, folder(t, m)
}

// folder makes a folder that is durable.
func folder(t *testing.T, m *faultfs.Mounted) string {
	t.Helper()
	dir := filepath.Join(m.Dir, "d")
	check(t, os.MkdirAll(dir, 0o755))
	m.Disk().Settle()
	return dir
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write makes or changes a file without an fsync.
func write(t *testing.T, path, content string) {
	t.Helper()
	check(t, os.WriteFile(path, []byte(content), 0o644))
}

// read is the content of the file, or "-" if there is none.
func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "-"
	}
	return string(b)
}

func TestItIsAFileSystem(t *testing.T) {
	_, dir := mount(t)
	big := bytes.Repeat([]byte("0123456789abcdef!"), 50_000)
	path := filepath.Join(dir, "sub", "file")
	check(t, durable.MkdirAll(filepath.Dir(path), 0o750))
	check(t, durable.WriteFile(path, big, 0o640))
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, big) {
		t.Fatalf("read %d bytes, %v, want the %d written", len(got), err, len(big))
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	defer f.Close()
	check(t, f.Truncate(100_000))
	check(t, f.Truncate(1<<30)) // a hole
	_, err = f.WriteAt([]byte("end"), 1<<30)
	check(t, err)
	if at, err := f.Seek(200_000, unix.SEEK_DATA); at != 1<<30 || err != nil {
		t.Errorf("data after the hole is at %d, %v, want 1 GiB", at, err)
	}
	got := make([]byte, 10)
	if _, err := f.ReadAt(got, 99_995); err != nil || string(got) != string(big[99_995:100_000])+"\x00\x00\x00\x00\x00" {
		t.Errorf("around the truncation there is %q, %v", got, err)
	}
	second := filepath.Join(dir, "second")
	check(t, os.Link(path, second))
	one, err := os.Stat(path)
	check(t, err)
	two, err := os.Stat(second)
	check(t, err)
	if !os.SameFile(one, two) || one.Sys().(*syscall.Stat_t).Nlink != 2 || one.Mode() != 0o640 {
		t.Errorf("a link is not the same file: %+v and %+v", one.Sys(), two.Sys())
	}
	check(t, os.RemoveAll(filepath.Join(dir, "sub")))
	if entries, err := os.ReadDir(dir); len(entries) != 1 || err != nil {
		t.Errorf("left are %v, %v, want the link", entries, err)
	}
	if err := os.Mkdir(second, 0o755); !errors.Is(err, os.ErrExist) {
		t.Errorf("mkdir over a file: %v", err)
	}
}

func TestAPlanFailsOneOperation(t *testing.T) {
	for fault, want := range map[faultfs.Fault]struct {
		err  error
		left string
	}{
		faultfs.None:    {nil, "abcdefgh"},
		faultfs.IO:      {syscall.EIO, ""},
		faultfs.Full:    {syscall.ENOSPC, ""},
		faultfs.Short:   {syscall.ENOSPC, "abcd"},
		faultfs.Torn:    {syscall.EIO, "abcd"},
		faultfs.Unheard: {syscall.EIO, "abcdefgh"},
		faultfs.Cut:     {syscall.EIO, "-"},
	} {
		t.Run(fault.String(), func(t *testing.T) {
			m, dir := mount(t)
			m.Disk().Plan(faultfs.Nth(2, fault)) // after the creation
			path := filepath.Join(dir, "file")
			err := os.WriteFile(path, []byte("abcdefgh"), 0o644)
			if !errors.Is(err, want.err) {
				t.Errorf("write: %v, want %v", err, want.err)
			}
			if got := read(path); got != want.left {
				t.Errorf("left is %q, want %q", got, want.left)
			}
			if failed := m.Disk().Failed(); fault != faultfs.None && (len(failed) != 1 || failed[0].Path != "d/file" || failed[0].Kind != faultfs.Write) {
				t.Errorf("failed are %v, want the write", failed)
			}
		})
	}
}

func TestEveryKindOfOperationIsSeen(t *testing.T) {
	m, dir := mount(t)
	m.Disk().Plan(nil)
	check(t, durable.WriteFile(filepath.Join(dir, "a"), []byte("x"), 0o600))
	check(t, os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")))
	check(t, os.Remove(filepath.Join(dir, "b")))
	check(t, os.Mkdir(filepath.Join(dir, "c"), 0o700))
	check(t, os.Remove(filepath.Join(dir, "c")))
	var got []string
	for _, op := range m.Disk().Ops() {
		got = append(got, string(op.Kind))
	}
	const want = "create write setattr fsync rename fsyncdir link unlink mkdir rmdir"
	if strings.Join(got, " ") != want {
		t.Errorf("seen were %v, want %s", got, want)
	}
}

// TestWhatAPowerCutLeaves lists what may be left of the same steps when more and more of them are done.
func TestWhatAPowerCutLeaves(t *testing.T) {
	const page = 4096
	old, fresh := strings.Repeat("o", page), strings.Repeat("n", page)
	write2 := func(t *testing.T, _ *faultfs.Mounted, dir string) { write(t, filepath.Join(dir, "file"), fresh+fresh) }
	for name, c := range map[string]struct {
		do   func(t *testing.T, m *faultfs.Mounted, dir string)
		want map[string][]string // by fate of names and data: what there may be in d/file
	}{
		"created, written": {write2, map[string][]string{
			"lost/kept": {"-"}, "kept/lost": {""}, "kept/kept": {fresh + fresh},
			"kept/mixed": {"", fresh + fresh, fresh + zeros(page), zeros(page) + fresh, zeros(2 * page)},
		}},
		"created, written, fsynced": {func(t *testing.T, m *faultfs.Mounted, dir string) {
			write2(t, m, dir)
			fsync(t, filepath.Join(dir, "file"))
		}, map[string][]string{"lost/lost": {"-"}, "kept/lost": {fresh + fresh}}},
		"written durably": {func(t *testing.T, m *faultfs.Mounted, dir string) {
			check(t, durable.WriteFile(filepath.Join(dir, "file"), []byte(fresh), 0o644))
		}, map[string][]string{"lost/lost": {fresh}, "mixed/mixed": {fresh}}},
		"written durably, then over": {func(t *testing.T, m *faultfs.Mounted, dir string) {
			path := filepath.Join(dir, "file")
			check(t, durable.WriteFile(path, []byte(old+old), 0o644))
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			check(t, err)
			defer f.Close()
			_, err = f.WriteAt([]byte(fresh+fresh), 0)
			check(t, err)
		}, map[string][]string{"lost/lost": {old + old}, "lost/kept": {fresh + fresh}, "lost/mixed": {old + old, old + fresh, fresh + old, fresh + fresh}}},
		"written durably, then removed": {func(t *testing.T, m *faultfs.Mounted, dir string) {
			path := filepath.Join(dir, "file")
			check(t, durable.WriteFile(path, []byte(old), 0o644))
			check(t, os.Remove(path))
		}, map[string][]string{"lost/lost": {old}, "kept/kept": {"-"}, "mixed/lost": {old, "-"}}},
		"a new file renamed over it": {func(t *testing.T, m *faultfs.Mounted, dir string) {
			check(t, durable.WriteFile(filepath.Join(dir, "file"), []byte(old), 0o644))
			write(t, filepath.Join(dir, "new"), fresh)
			check(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "file")))
		}, map[string][]string{"lost/kept": {old}, "kept/kept": {fresh}, "kept/lost": {""}, "mixed/kept": {old, fresh}}},
		"an fsync that failed, and one that did not": {func(t *testing.T, m *faultfs.Mounted, dir string) {
			path := filepath.Join(dir, "file")
			check(t, durable.WriteFile(path, []byte(old), 0o644))
			write(t, path, fresh)
			failOne(t, m, faultfs.Fsync, func() error { return syncFile(path) })
			fsync(t, path)
		}, map[string][]string{"lost/lost": {old}, "kept/kept": {old}}},
	} {
		t.Run(name, func(t *testing.T) {
			m, dir := mount(t)
			c.do(t, m, dir)
			before := m.Disk()
			for fates, want := range c.want {
				seen := make(map[string]bool)
				for seed := range uint64(40) {
					m.Insert(before.PowerCut(outcome(t, fates, seed)))
					seen[read(filepath.Join(dir, "file"))] = true
				}
				for _, w := range want {
					if !seen[w] {
						t.Errorf("%s: %s is never left", fates, show(w))
					}
					delete(seen, w)
				}
				for s := range seen {
					t.Errorf("%s: left is %s", fates, show(s))
				}
			}
		})
	}
}

// failOne lets do meet an error of one kind of operation.
func failOne(t *testing.T, m *faultfs.Mounted, kind faultfs.Kind, do func() error) {
	t.Helper()
	m.Disk().Plan(func(o faultfs.Op) faultfs.Fault {
		if o.Kind == kind {
			return faultfs.IO
		}
		return faultfs.None
	})
	if err := do(); !errors.Is(err, syscall.EIO) {
		t.Errorf("%s: %v, want EIO", kind, err)
	}
	m.Disk().Plan(nil)
}

func zeros(n int) string { return strings.Repeat("\x00", n) }

// show has one letter for each page.
func show(s string) string {
	for _, page := range []string{"o", "n", "\x00"} {
		s = strings.ReplaceAll(s, strings.Repeat(page, 4096), page)
	}
	return strconv.Quote(s)
}

func fsync(t *testing.T, path string) {
	t.Helper()
	check(t, syncFile(path))
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func outcome(t *testing.T, fates string, seed uint64) faultfs.Outcome {
	t.Helper()
	names, data, _ := strings.Cut(fates, "/")
	by := map[string]faultfs.Fate{"lost": faultfs.Lost, "kept": faultfs.Kept, "mixed": faultfs.Mixed}
	return faultfs.Outcome{Names: by[names], Data: by[data], Seed: seed}
}

func TestADeadDiskStaysDeadForWhoHasItOpen(t *testing.T) {
	m, dir := mount(t)
	path := filepath.Join(dir, "file")
	check(t, durable.WriteFile(path, []byte("before"), 0o644))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	defer f.Close()
	root, err := os.OpenRoot(dir)
	check(t, err)
	defer root.Close()
	m.Insert(m.Disk().PowerCut(faultfs.Outcome{}))
	if _, err := f.WriteString("after"); !errors.Is(err, syscall.EIO) {
		t.Errorf("write to a file of the dead disk: %v, want EIO", err)
	}
	if _, err := root.Create("other"); !errors.Is(err, syscall.EIO) {
		t.Errorf("create in a folder of the dead disk: %v, want EIO", err)
	}
	if got := read(path); got != "before" {
		t.Errorf("the file has %q, want what it had", got)
	}
}

func TestInodesSurvive(t *testing.T) {
	m, dir := mount(t)
	path := filepath.Join(dir, "file")
	check(t, durable.WriteFile(path, []byte("x"), 0o644))
	before, err := os.Stat(path)
	check(t, err)
	m.Insert(m.Disk().PowerCut(faultfs.Outcome{}))
	after, err := os.Stat(path)
	check(t, err)
	if before.Sys().(*syscall.Stat_t).Ino != after.Sys().(*syscall.Stat_t).Ino || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("inode and time before: %+v, after: %+v", before.Sys(), after.Sys())
	}
}
