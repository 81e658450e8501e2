package swarm_test

import (
	"os"
	"path/filepath"
	"testing"

	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

// A restart neither reads the file nor looks for its holes, however many pieces there are: what the record vouches for is present at
// once, and the first byte that somebody reads is the first that is read.
func TestRestartReadsNothing(t *testing.T) {
	const pieces, length = 4 << 10, 1 << 20
	tor, err := snapshot.NewTorrent(snapshot.Content{Name: "data.zst", Length: pieces * length, PieceLength: length, Pieces: make([]byte, pieces*20)})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, tor.Name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	truncate(t, path, tor.Length) // sparse; its hashes are wrong, so that whatever is hashed goes missing
	before, err := startClient(t, swarm.Fast(swarm.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	add(t, before, swarm.AddOptions{Torrent: tor, Dir: dir, Have: true})
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}

	var count swarm.Reads
	c, err := startClient(t, count.Of(swarm.Fast(swarm.Config{})))
	if err != nil {
		t.Fatal(err)
	}
	s := add(t, c, swarm.AddOptions{Torrent: tor, Dir: dir, Background: true})
	if n, _ := s.Completed(); n != pieces {
		t.Fatalf("%d pieces after a restart, want %d", n, pieces)
	}
	const one = 1
	if n, err := s.ReadAt(t.Context(), make([]byte, one), tor.Length/2); n != one || err != nil {
		t.Fatal(n, err)
	}
	if err := c.Close(); err != nil { // with the last save, everything that was begun is over
		t.Fatal(err)
	}
	if reads, bytes, seeks := count.Totals(); reads > 1 || bytes > one || seeks > 0 {
		t.Errorf("a restart took %d reads of %d bytes and %d looks for holes, want at most the one byte that was asked for", reads, bytes, seeks)
	}
}
