package swarm_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"snapswarm/common/swarm"
)

// Whatever takes the place of the file of a running process, readers get what was published, and so they do after a restart.
func TestAFileThatIsNotInItsPlaceIsServedOn(t *testing.T) {
	const pieces = 20
	b, tor := content(t, "data.zst", pieces*testPiece, testPiece)
	for name, displace := range map[string]func(path string) error{
		"replaced": func(path string) error {
			return errors.Join(os.WriteFile(path+".new", flipped(b), 0o600), os.Rename(path+".new", path))
		},
		"moved away": func(path string) error { return os.Rename(path, path+".old") },
		"removed":    os.Remove,
		"replaced by a symbolic link": func(path string) error {
			return errors.Join(os.WriteFile(path+".new", flipped(b), 0o600), os.Remove(path), os.Symlink(path+".new", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, o := t.TempDir(), newOrigin(t, b)
			c, err := startClient(t, swarm.Config{HTTP: client(t)})
			if err != nil {
				t.Fatal(err)
			}
			s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Origins: []string{o.URL}})
			if err := s.WaitPiece(within(t, patient), 3); err != nil {
				t.Fatal(err)
			}
			if err := displace(s.Path()); err != nil {
				t.Fatal(err)
			}
			wantOpened(t, s, b) // what is missing is fetched into the same file
			wantOpened(t, s, b) // and the two have offsets of their own
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if name == "replaced by a symbolic link" {
				return // which a restart refuses
			}
			c = newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
			s = add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Origins: []string{o.URL}, Background: true})
			waitDone(t, s)
			wantFile(t, s.Path(), b)
		})
	}
}

// wantOpened reads everything as a gateway does.
func wantOpened(t *testing.T, s *swarm.Snapshot, want []byte) {
	t.Helper()
	f, err := s.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range s.Torrent().NumPieces() {
		if err := s.WaitPiece(within(t, patient), i); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes, %v, that differ from what was published", len(got), err)
	}
}
