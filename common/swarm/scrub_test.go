package swarm_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

const scrubFast = 1 << 30 // bytes per second

// logLines is a log that a test can read.
type logLines struct{ lockedBuffer }

// with are the lines that have text in them.
func (l *logLines) with(text string) (found []string) {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

func (l *logLines) log() *slog.Logger { return slog.New(slog.NewTextHandler(&l.lockedBuffer, nil)) }

// placed is a complete snapshot in a folder, as a process that has ended left it.
func placed(t *testing.T, b []byte, tor *snapshot.Torrent) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, tor.Name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := startClient(t, swarm.Fast(swarm.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Have: true})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

// Bytes that rot without a trace are found, nobody gets them, and they come again, although nothing else is fetched.
func TestScrubberFindsAndMendsRot(t *testing.T) {
	const pieces = 30
	b, v1 := content(t, "data.zst", pieces*testPiece-5, testPiece)
	for name, tor := range formats(t, b, v1) {
		t.Run(name, func(t *testing.T) {
			dir, path := placed(t, b, tor)
			for _, off := range []int{0, 7*testPiece + 99, len(b) - 1} {
				rot(t, path, []byte{^b[off]}, int64(off))
			}
			var lines logLines
			c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t), ScrubRate: scrubFast, Log: lines.log()}))
			s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Origins: []string{newOrigin(t, b).URL}})
			eventually(t, "three pieces came again", func() bool { return s.Stats().FromOrigin > 2*testPiece })
			eventually(t, "a round later", func() bool { return !s.Stats().Scrubbed.IsZero() })
			waitDone(t, s)
			wantFile(t, path, b)
			for _, offset := range []string{" offset=0 ", " offset=458752 ", " offset=1900544 "} {
				if got := lines.with(offset); len(got) != 1 || !strings.Contains(got[0], path) {
					t.Errorf("lines with %q: %q, want one that names %s", offset, got, path)
				}
			}
			if st := s.Stats(); st.Damaged != 0 || st.FromOrigin != 3*testPiece-5 {
				t.Errorf("stats = %+v, want three pieces from the origin and none damaged", st)
			}
		})
	}
}

// Of a hybrid, the SHA-256 tree counts as well: the file is right by SHA-1 here, and the tree is that of other bytes.
func TestScrubberChecksTheTree(t *testing.T) {
	b, v1 := content(t, "data.zst", 4*testPiece, testPiece)
	dir, _ := placed(t, b, v1)
	other := bytes.Clone(b)
	other[2*testPiece] ^= 1
	tor := hybridOf(t, v1, other)
	var lines logLines
	c := newClient(t, swarm.Fast(swarm.Config{ScrubRate: scrubFast, Log: lines.log()}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Have: true})
	eventually(t, "the piece is given up", func() bool { return !s.Have(2) })
	eventually(t, "and no other", func() bool { return !s.Stats().Scrubbed.IsZero() })
	if got := lines.with("is damaged"); len(got) != 1 || !strings.Contains(got[0], "piece=2 ") || s.Stats().Pieces != 3 {
		t.Errorf("log has %q, %d pieces are left, want one line of piece 2", got, s.Stats().Pieces)
	}
}

// A sector that cannot be read is as bad as a wrong one.
func TestUnreadablePieceIsDamaged(t *testing.T) {
	b, tor := content(t, "data.zst", 6*testPiece, testPiece)
	dir, path := placed(t, b, tor)
	var disk swarm.Disk
	disk.FailRead(syscall.EIO)
	var lines logLines
	c := newClient(t, disk.On(swarm.Fast(swarm.Config{HTTP: client(t), ScrubRate: scrubFast, Log: lines.log()})))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir})
	eventually(t, "every piece is given up", func() bool { return s.Stats().Damaged == tor.NumPieces() })
	eventually(t, "each has its line", func() bool { return len(lines.with("input/output error")) == tor.NumPieces() })
	disk.FailRead(nil)
	s.SetOrigins([]string{newOrigin(t, b).URL})
	waitDone(t, s)
	wantFile(t, path, b)
}

// What was found to be damaged stays so over a restart, also of a program that reads nothing again, and comes when somebody has it.
func TestDamageIsRemembered(t *testing.T) {
	b, tor := content(t, "data.zst", 9*testPiece, testPiece)
	dir, path := placed(t, b, tor)
	rot(t, path, []byte{^b[4*testPiece]}, 4*testPiece)
	c, err := startClient(t, swarm.Fast(swarm.Config{ScrubRate: scrubFast}))
	if err != nil {
		t.Fatal(err)
	}
	s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir})
	eventually(t, "it is found", func() bool { return s.Stats().Damaged == 1 })
	eventually(t, "it is written down", func() bool { // without any end of the process
		_, damaged, err := swarm.Recorded(recordOf(t, path), tor.NumPieces())
		return err == nil && len(damaged) == 1 && damaged[0] == 4
	})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	again := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
	s = add(t, again, swarm.AddOptions{Torrent: tor, Dir: dir, Origins: []string{newOrigin(t, b).URL}})
	waitDone(t, s)
	wantFile(t, path, b)
	if st := s.Stats(); st.FromOrigin != testPiece || st.Damaged != 0 {
		t.Errorf("stats = %+v, want one piece from the origin", st)
	}
}

// A process that is restarted often gets round all the same.
func TestScrubberGoesOnAfterARestart(t *testing.T) {
	const pieces = 40
	b, tor := content(t, "data.zst", pieces*testPiece, testPiece)
	dir, _ := placed(t, b, tor)
	var first int64
	for run := 0; ; run++ {
		var disk swarm.Disk
		// The scrubber may read a MiB at once and then waits: a few pieces come at once, and a few more in a second.
		c, err := startClient(t, disk.On(swarm.Fast(swarm.Config{ScrubRate: 4 * testPiece})))
		if err != nil {
			t.Fatal(err)
		}
		s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir})
		eventually(t, "it reads", func() bool { return len(disk.Reads()) > 3 || !s.Stats().Scrubbed.IsZero() })
		finished := s.Stats().Scrubbed
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if got := disk.Reads()[0]; got != first {
			t.Errorf("run %d begins at byte %d, want %d", run, got, first)
		}
		reads := disk.Reads()
		if !finished.IsZero() {
			if run == 0 {
				t.Error("all was read in one run: the test shows nothing")
			}
			break
		}
		first = reads[len(reads)-1] // it was stopped in the middle of that one, or behind it
		if state, err := os.ReadFile(scrubFileOf(t, dir)); err != nil {
			t.Fatal(err)
		} else if next := swarm.ScrubNext(state, pieces); int64(next)*testPiece == first+testPiece || int64(next)*testPiece == first {
			first = int64(next) * testPiece
		} else {
			t.Fatalf("%q after a read at %d", state, first)
		}
	}
}

func scrubFileOf(t *testing.T, dir string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, ".*.scrub"))
	if err != nil || len(all) != 1 {
		t.Fatalf("files of the scrubber in %s: %v, %v", dir, all, err)
	}
	return all[0]
}

// Its rate is the sum over all snapshots, each of which has its turn, and the end does not wait for it.
func TestScrubberKeepsItsRate(t *testing.T) {
	const rate, burst = 64 << 10, 1 << 20
	var disk swarm.Disk
	began := time.Now()
	c, err := startClient(t, disk.On(swarm.Fast(swarm.Config{ScrubRate: rate})))
	if err != nil {
		t.Fatal(err)
	}
	var all []*swarm.Snapshot
	for _, name := range []string{"a.zst", "b.zst", "c.zst"} {
		b, tor := content(t, name, 10*testPiece, testPiece)
		dir, _ := placed(t, b, tor)
		all = append(all, add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir}))
	}
	for _, s := range all {
		eventually(t, "it is read", func() bool { return s.Stats().Scrubbing > 0 || !s.Stats().Scrubbed.IsZero() })
	}
	eventually(t, "it has to wait", func() bool { return len(disk.Reads()) >= burst/testPiece+2 })
	read, passed := int64(len(disk.Reads()))*testPiece, time.Since(began)
	if most := burst + int64(passed.Seconds()*rate) + testPiece; read > most {
		t.Errorf("%d bytes read in %s, want at most %d", read, passed, most)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// With a rate of 0 nothing is read.
func TestScrubberIsOff(t *testing.T) {
	b, tor := content(t, "data.zst", 6*testPiece, testPiece)
	dir, _ := placed(t, b, tor)
	var disk swarm.Disk
	c, err := startClient(t, disk.On(swarm.Fast(swarm.Config{})))
	if err != nil {
		t.Fatal(err)
	}
	s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir})
	if st := s.Stats(); st.Pieces != tor.NumPieces() || !st.Scrubbed.IsZero() {
		t.Errorf("stats = %+v", st)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(disk.Reads()); n != 0 {
		t.Errorf("%d reads without a scrubber", n)
	}
}

// Whatever happened to the file that says how far it is: it begins again, says so in one line, and writes a good one.
func TestDamagedScrubFileBeginsAgain(t *testing.T) {
	b, tor := content(t, "data.zst", 6*testPiece, testPiece)
	for name, damage := range map[string]func(t *testing.T, path string){
		"empty": func(t *testing.T, path string) { overwrite(t, path, "") },
		"cut":   func(t *testing.T, path string) { overwrite(t, path, "snapswarm scrub 1\nnext 3") },
		"newer": func(t *testing.T, path string) {
			overwrite(t, path, "snapswarm scrub 2\nnext 3\nsince 5\nfinished 6\n")
		},
		"too far": func(t *testing.T, path string) {
			overwrite(t, path, "snapswarm scrub 1\nnext 7\nsince 5\nfinished 6\n")
		},
		"huge":      func(t *testing.T, path string) { overwrite(t, path, strings.Repeat("x", 1<<20)) },
		"directory": func(t *testing.T, path string) { remove(t, path); mkdir(t, filepath.Join(path, "in the way")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, path := placed(t, b, tor)
			file := filepath.Join(dir, "."+tor.InfoHash.String()+".scrub")
			overwrite(t, file, "")
			damage(t, file)
			rot(t, path, []byte{^b[0]}, 0)
			var lines logLines
			c, err := startClient(t, swarm.Fast(swarm.Config{HTTP: client(t), ScrubRate: scrubFast, Log: lines.log()}))
			if err != nil {
				t.Fatal(err)
			}
			s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Origins: []string{newOrigin(t, b).URL}})
			eventually(t, "the first piece came again", func() bool { return s.Stats().FromOrigin == testPiece })
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			wantFile(t, path, b)
			if got := lines.with("it begins again"); len(got) != 1 {
				t.Errorf("log has %q, want one line", got)
			}
			state, err := os.ReadFile(file)
			if err != nil || swarm.ScrubNext(state, tor.NumPieces()) < 0 {
				t.Errorf("after it, the file holds %q, %v", state, err)
			}
		})
	}
}

func overwrite(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

// While the scrubber works, the file may be written and changed by others: no healthy piece is lost, and all ends well.
func TestScrubberBesideWriters(t *testing.T) {
	const pieces = 60
	b, tor := content(t, "data.zst", pieces*testPiece, testPiece)
	var lines logLines
	c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t), ScrubRate: scrubFast, Log: lines.log(), DownloadLimit: 4 << 20}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{newOrigin(t, b).URL}, Background: true})
	for i := range 20 {
		if err := s.WaitPiece(within(t, patient), i); err != nil {
			t.Fatal(err)
		}
	}
	if st := s.Stats(); st.Damaged != 0 {
		t.Errorf("%d healthy pieces were given up", st.Damaged)
	}
	for i := range 5 { // each is a change that the system shows
		writeAt(t, s.Path(), flipped(b[:10]), int64(i)*testPiece)
		waitDone(t, s)
	}
	eventually(t, "all is well", func() bool {
		st := s.Stats()
		got, err := os.ReadFile(s.Path())
		return err == nil && st.Pieces == pieces && st.Damaged == 0 && st.Unhashed == 0 && bytes.Equal(got, b)
	})
}
