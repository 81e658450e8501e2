package follow

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRoom(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "yet", "there")
	for _, tt := range []struct {
		name    string
		free    int64
		freeErr error
		need    int64
		want    string // in the error; empty: none
	}{
		{"enough", 1 << 30, nil, 1<<30 - reserve, ""},
		{"a byte too little", 1 << 30, nil, 1<<30 - reserve + 1, "needs 960 MiB"},
		{"nothing needed on a full disk", 0, nil, 0, ""},
		{"a system that does not say", 0, errors.ErrUnsupported, 1 << 40, ""},
		{"a disk that fails", 0, os.ErrPermission, 1, "permission denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := ""
			d := disks(func(dir string) (int64, error) { asked = dir; return tt.free, tt.freeErr })
			err := d.room(dir, "the test", tt.need)
			if (err == nil) != (tt.want == "") || err != nil && (!errors.Is(err, ErrDisk) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("room = %v, want %q", err, tt.want)
			}
			if !strings.HasPrefix(dir, asked) || asked == dir {
				t.Errorf("asked for %s, want a folder above %s that exists", asked, dir)
			}
		})
	}
}

func TestAllocatedIsLessThanTheSizeOfASparseFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sparse")
	if err := errors.Join(os.WriteFile(path, make([]byte, 8192), 0o600), os.Truncate(path, 1<<30)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := allocated(info); n > 1<<20 {
		t.Errorf("allocated = %d of a file with 8 KiB in it", n)
	}
}
