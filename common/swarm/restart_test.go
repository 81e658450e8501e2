package swarm_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

// download gets b into dir from an origin and closes the client.
func download(t *testing.T, dir string, b []byte, tor *snapshot.Torrent) {
	t.Helper()
	c, err := startClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
	if err != nil {
		t.Fatal(err)
	}
	s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Origins: []string{newOrigin(t, b).URL}, Background: true})
	waitDone(t, s)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestRestartTrustsItsRecord(t *testing.T) {
	b, tor := content(t, "data.zst", 50*testPiece+9, testPiece)
	dir := t.TempDir()
	download(t, dir, b, tor)
	// Without peers and origins, everything must be there at once, before anything could be hashed.
	c := newClient(t, swarm.Fast(swarm.Config{}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Background: true})
	if n, _ := s.Completed(); n != tor.NumPieces() {
		t.Fatalf("%d pieces after a restart, want %d", n, tor.NumPieces())
	}
	<-s.Done()
	if st := s.Stats(); st.FromDisk != int64(len(b)) {
		t.Errorf("stats = %+v, want everything from disk", st)
	}
	bad, err := s.VerifyRestored(t.Context())
	if bad != 0 || err != nil {
		t.Errorf("VerifyRestored = %d, %v, want 0, nil", bad, err)
	}
	// And it seeds.
	leech := newClient(t, swarm.Fast(swarm.Config{SeedPeers: []string{c.Addr().String()}}))
	ls := add(t, leech, swarm.AddOptions{Torrent: tor, Background: true})
	waitDone(t, ls)
	wantFile(t, ls.Path(), b)
}

// Whatever happened to the file while nobody looked: nothing unverified is present, and what is still right is not fetched again.
func TestTamperedFileIsNoticed(t *testing.T) {
	const pieces = 40
	b, tor := content(t, "data.zst", pieces*testPiece, testPiece)
	tests := map[string]struct {
		tamper func(t *testing.T, path string)
		bad    int
	}{
		"a byte changed": {func(t *testing.T, path string) { writeAt(t, path, []byte{^b[5*testPiece]}, 5*testPiece) }, 1},
		"cut short":      {func(t *testing.T, path string) { truncate(t, path, 30*testPiece+1) }, 10},
		"longer":         {func(t *testing.T, path string) { truncate(t, path, pieces*testPiece+7) }, 0},
		"another file of the same bytes, times and size": {func(t *testing.T, path string) { replace(t, path, b) }, 0},
		"deleted":          {func(t *testing.T, path string) { remove(t, path) }, pieces},
		"the record alone": {func(t *testing.T, path string) { truncate(t, recordOf(t, path), 50) }, 0},
		"no record":        {func(t *testing.T, path string) { remove(t, recordOf(t, path)) }, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			download(t, dir, b, tor)
			path := filepath.Join(dir, tor.Name)
			tc.tamper(t, path)

			o := newOrigin(t, b)
			c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
			s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Origins: []string{o.URL}, Background: true})
			waitDone(t, s)
			wantFile(t, path, b)
			if st := s.Stats(); st.FromOrigin != int64(tc.bad*testPiece) {
				t.Errorf("fetched %d bytes again, want %d pieces", st.FromOrigin, tc.bad)
			}
		})
	}
}

// leechEnv makes the test binary a process that can be killed: torrent file, folder and origin, separated by newlines.
const leechEnv = "SNAPSWARM_TEST_LEECH"

// leechMain downloads to the end.
func leechMain(args string) error {
	a := strings.Split(args, "\n")
	b, err := os.ReadFile(a[0])
	if err != nil {
		return err
	}
	tor, err := snapshot.ParseTorrent(b)
	if err != nil {
		return err
	}
	c, err := swarm.New(context.Background(), swarm.Config{ListenAddr: "127.0.0.1:0", AllowPrivate: true})
	if err != nil {
		return err
	}
	s, err := c.Add(context.Background(), swarm.AddOptions{Torrent: tor, Dir: a[1], Origins: a[2:], Background: true})
	if err != nil {
		return err
	}
	<-s.Done()
	return c.Close()
}

// A process that is killed while it writes has an open record: what the record names is there at once, and what was written after
// it is hashed, not fetched.
func TestKilledInTheMiddle(t *testing.T) {
	b, tor := content(t, "data.zst", 64<<20, 256<<10)
	dir := t.TempDir()
	torrent := filepath.Join(t.TempDir(), "t.torrent")
	if err := os.WriteFile(torrent, tor.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	// From 40 MiB on its bodies stall, so that it is known what was sent.
	o := newOrigin(t, b, limited(16<<20, 256<<10), func(o *originServer) { o.stopAt = 40 << 20 })
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), leechEnv+"="+torrent+"\n"+dir+"\n"+o.URL)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "most was sent", func() bool { return o.sent.Load() >= 38<<20 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed

	healthy := newOrigin(t, b)
	c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Origins: []string{healthy.URL}, Background: true})
	waitDone(t, s)
	wantFile(t, s.Path(), b)
	if bad, err := s.VerifyAll(t.Context()); bad != 0 || err != nil {
		t.Errorf("VerifyAll = %d, %v, want 0, nil", bad, err)
	}
	// What was in flight when it was killed is lost: at most one incomplete piece per request, and the socket buffers.
	again := o.sent.Load() + healthy.sent.Load() - int64(len(b))
	t.Logf("killed after %d MiB: %d KiB fetched again", o.sent.Load()>>20, again>>10)
	if st := s.Stats(); again > 9*(256<<10)+4<<20 || st.FromDisk < 30<<20 {
		t.Errorf("%d bytes fetched again, %d taken over", again, st.FromDisk)
	}
}

func TestVerifyAllFindsRot(t *testing.T) {
	b, tor := content(t, "data.zst", 30*testPiece, testPiece)
	dir := t.TempDir()
	download(t, dir, b, tor)
	o := newOrigin(t, b)
	c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
	s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Origins: []string{o.URL}, Background: true})
	<-s.Done()
	rot(t, s.Path(), flipped(b[:10]), 3*testPiece)
	rot(t, s.Path(), flipped(b[:10]), 17*testPiece)
	if bad, err := s.VerifyRestored(t.Context()); bad != 2 || err != nil {
		t.Errorf("VerifyRestored = %d, %v, want 2, nil", bad, err)
	}
	eventually(t, "mended", func() bool {
		n, _ := s.Completed()
		return n == tor.NumPieces()
	})
	wantFile(t, s.Path(), b)
	if bad, err := s.VerifyRestored(t.Context()); bad != 0 || err != nil {
		t.Errorf("second VerifyRestored = %d, %v, want 0, nil", bad, err)
	}
	// What was hashed already is left out by VerifyRestored and not by VerifyAll.
	rot(t, s.Path(), flipped(b[:10]), 9*testPiece)
	if bad, _ := s.VerifyRestored(t.Context()); bad != 0 {
		t.Errorf("VerifyRestored hashed what this process had hashed: %d bad", bad)
	}
	if bad, _ := s.VerifyAll(t.Context()); bad != 1 {
		t.Errorf("VerifyAll = %d, want 1", bad)
	}
	waitDone(t, s)
	wantFile(t, s.Path(), b)
}

func TestHaveIsCheckedAgainstTheSize(t *testing.T) {
	b, tor := content(t, "data.zst", 3*testPiece, testPiece)
	dir := t.TempDir()
	c := newClient(t, swarm.Fast(swarm.Config{}))
	if err := os.WriteFile(filepath.Join(dir, tor.Name), b[1:], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Add(t.Context(), swarm.AddOptions{Torrent: tor, Dir: dir, Have: true}); err == nil {
		t.Error("Add with Have accepted a file of another size")
	}
}

func TestSymbolicLinkIsNotFollowed(t *testing.T) {
	b, tor := content(t, "data.zst", 3*testPiece, testPiece)
	dir := t.TempDir()
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, tor.Name)); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, swarm.Fast(swarm.Config{}))
	if _, err := c.Add(t.Context(), swarm.AddOptions{Torrent: tor, Dir: dir}); err == nil {
		t.Error("Add followed a symbolic link")
	}
}

func recordOf(t *testing.T, path string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*.pieces"))
	if err != nil || len(all) != 1 {
		t.Fatalf("records beside %s: %v, %v", path, all, err)
	}
	return all[0]
}

func writeAt(t *testing.T, path string, b []byte, off int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(b, off)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// rot is writeAt without a trace.
func rot(t *testing.T, path string, b []byte, off int64) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	writeAt(t, path, b, off)
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

func truncate(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// replace puts another file of the same content and modification time in the place of path.
func replace(t *testing.T, path string, b []byte) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", bytes.Clone(b), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path+".new", time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
