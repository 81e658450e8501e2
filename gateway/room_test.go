package main

import (
	"errors"
	"os"
	"strings"
	"testing"

	"snapswarm/common/snapshot"
)

func TestRoomForANewSnapshot(t *testing.T) {
	t.Parallel()
	tor := &snapshot.Torrent{Length: 100 << 20}
	for name, tt := range map[string]struct {
		free int64
		err  error
		want []string // nil: it fits
	}{
		"just enough":              {free: 100<<20 + reserve},
		"a byte too little":        {free: 100<<20 + reserve - 1, want: []string{"needs 100 MiB in /data", "64 MiB to spare", "are free"}},
		"nothing":                  {free: 0, want: []string{"only 0 B are free", "free 164 MiB more"}},
		"the system does not say":  {err: errors.ErrUnsupported},
		"the disk does not answer": {err: os.ErrPermission, want: []string{"permission denied"}},
	} {
		err := room(func(string) (int64, error) { return tt.free, tt.err }, "/data", tor)
		if (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, w := range tt.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %q lacks %q", name, err, w)
			}
		}
	}
}
