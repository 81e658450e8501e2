package swarm_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anacrolix/torrent/bencode"

	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

// hybridOf is the hybrid torrent of v1 whose pieces are those of b. The tree is that of treeOf, which differs from b only
// where a test wants the two to contradict each other.
func hybridOf(t testing.TB, v1 *snapshot.Torrent, treeOf []byte) *snapshot.Torrent {
	t.Helper()
	_, tree, err := snapshot.HashHybrid(t.Context(), bytes.NewReader(treeOf), v1.Length, v1.PieceLength)
	if err != nil {
		t.Fatal(err)
	}
	tor, err := snapshot.NewTorrent(snapshot.Content{
		Name: v1.Name, Length: v1.Length, PieceLength: v1.PieceLength, Pieces: v1.Pieces, Tree: tree,
	})
	if err != nil {
		t.Fatal(err)
	}
	return tor
}

// onlyV2 takes the v1 part out of a hybrid.
func onlyV2(t testing.TB, hybrid *snapshot.Torrent) *snapshot.Torrent {
	t.Helper()
	var info map[string]bencode.Bytes
	if err := bencode.Unmarshal(hybrid.Info, &info); err != nil {
		t.Fatal(err)
	}
	delete(info, "length")
	delete(info, "pieces")
	tor, err := snapshot.ParseInfo(bencode.MustMarshal(info))
	if err != nil {
		t.Fatal(err)
	}
	if err := tor.SetLayer(hybrid.Tree.Layer); err != nil {
		t.Fatal(err)
	}
	return tor
}

// formats are the torrents that can be made of b.
func formats(t testing.TB, b []byte, v1 *snapshot.Torrent) map[string]*snapshot.Torrent {
	hybrid := hybridOf(t, v1, b)
	return map[string]*snapshot.Torrent{"v1": v1, "hybrid": hybrid, "v2": onlyV2(t, hybrid)}
}

// sizes of test data: a part of a piece, a piece, and several with a short last one (17 and 600: more than one request of 512 hashes).
var sizes = []int{testPiece / 2, testPiece, 17*testPiece + 123}

func TestAllFormatsFromSeedAndOrigin(t *testing.T) {
	for _, size := range sizes {
		b, v1 := content(t, "data.zst", size, testPiece)
		for format, tor := range formats(t, b, v1) {
			t.Run(fmt.Sprintf("%s, %d bytes", format, size), func(t *testing.T) {
				seed := newSeed(t, b, tor)
				leech := newClient(t, swarm.Fast(swarm.Config{SeedPeers: []string{seed.Addr().String()}}))
				s := add(t, leech, swarm.AddOptions{Torrent: tor, Background: true})
				waitDone(t, s)
				wantFile(t, s.Path(), b)

				alone := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
				s = add(t, alone, swarm.AddOptions{Torrent: tor, Background: true, Origins: []string{newOrigin(t, b).URL}})
				waitDone(t, s)
				wantFile(t, s.Path(), b)
				if bad, err := s.VerifyAll(t.Context()); bad != 0 || err != nil {
					t.Errorf("VerifyAll = %d bad pieces, %v", bad, err)
				}

				dir := filepath.Dir(s.Path())
				if err := alone.Close(); err != nil {
					t.Fatal(err)
				}
				for _, change := range []bool{false, true} { // without its record, everything is hashed again
					if change {
						now := time.Now()
						if err := os.Chtimes(s.Path(), now, now); err != nil {
							t.Fatal(err)
						}
					}
					again := newClient(t, swarm.Fast(swarm.Config{}))
					waitDone(t, add(t, again, swarm.AddOptions{Torrent: tor, Dir: dir}))
					if err := again.Close(); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

func TestMetadataOfAllFormats(t *testing.T) {
	for _, size := range append(sizes, 600*testPiece+1) {
		b, v1 := content(t, "data.zst", size, testPiece)
		for format, tor := range formats(t, b, v1) {
			asked := map[string]swarm.AddOptions{"its info-hash": {InfoHash: tor.InfoHash, InfoSHA256: &tor.InfoSHA256}}
			if tor.HasV2() {
				asked["its short v2 info-hash"] = swarm.AddOptions{InfoHash: tor.ShortV2()}
				asked["its v2 info-hash"] = swarm.AddOptions{InfoHash: tor.ShortV2(), InfoHashV2: &tor.InfoSHA256}
				asked["both info-hashes"] = swarm.AddOptions{InfoHash: tor.InfoHash, InfoHashV2: &tor.InfoSHA256}
			}
			for by, o := range asked {
				t.Run(fmt.Sprintf("%s, %d bytes, by %s", format, size, by), func(t *testing.T) {
					seed := newSeed(t, b, tor)
					c := newClient(t, swarm.Fast(swarm.Config{SeedPeers: []string{seed.Addr().String()}}))
					got, err := c.Metadata(within(t, patient), o)
					if err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(got.Info, tor.Info) || got.InfoHash != tor.InfoHash {
						t.Errorf("metadata of %s %v, want %v", got.Name, got.InfoHash, tor.InfoHash)
					}
					if got.HasV2() && got.NewTreeCheck(0) == nil {
						t.Error("the hashes of the v2 part are missing")
					}
					s := add(t, c, swarm.AddOptions{Torrent: got, Background: true})
					waitDone(t, s)
					wantFile(t, s.Path(), b)
				})
			}
		}
	}
}

// TestTheTreeOfAHybridIsVerified has a torrent whose SHA-1 hashes are right for the data and whose SHA-256 hashes are those of
// other data in one piece, as a collision of SHA-1 would make it.
func TestTheTreeOfAHybridIsVerified(t *testing.T) {
	const wrong = 3
	b, v1 := content(t, "data.zst", 7*testPiece+99, testPiece)
	other := bytes.Clone(b)
	other[wrong*testPiece+5] ^= 1
	tor := hybridOf(t, v1, other)
	check := func(t *testing.T, s *swarm.Snapshot) {
		t.Helper()
		eventually(t, "all other pieces are here", func() bool { n, _ := s.Completed(); return n == tor.NumPieces()-1 })
		if s.Have(wrong) {
			t.Error("the piece counts as present")
		}
	}
	t.Run("from a peer", func(t *testing.T) {
		seed := newSeed(t, b, tor) // trusts its caller
		more, next := content(t, "next.zst", 200*testPiece, testPiece)
		other := newSeed(t, more, next)
		var log lockedBuffer
		leech := newClient(t, swarm.Fast(swarm.Config{
			SeedPeers: []string{seed.Addr().String(), other.Addr().String()}, Log: slog.New(slog.NewTextHandler(&log, nil)),
		}))
		s := add(t, leech, swarm.AddOptions{Torrent: tor, Background: true})
		eventually(t, "the contradiction is found", func() bool { return strings.Contains(log.String(), "signed two different files") })
		if s.Have(wrong) {
			t.Error("the piece counts as present")
		}
		waitDone(t, add(t, leech, swarm.AddOptions{Torrent: next, Background: true})) // meanwhile it could be fetched again and again
		if got := s.Stats().ReceivedPeers; got > tor.Length+4*testPiece {
			t.Errorf("%d bytes of %d came from peers: the piece is fetched again and again", got, tor.Length)
		}
	})
	t.Run("from an origin", func(t *testing.T) {
		c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
		check(t, add(t, c, swarm.AddOptions{Torrent: tor, Background: true, Origins: []string{newOrigin(t, b).URL}}))
	})
	t.Run("from disk", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, tor.Name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		check(t, add(t, newClient(t, swarm.Fast(swarm.Config{})), swarm.AddOptions{Torrent: tor, Dir: dir}))
	})
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestV2WithoutItsLayerIsRefused(t *testing.T) {
	b, v1 := content(t, "data.zst", 3*testPiece, testPiece)
	bare, err := snapshot.ParseInfo(onlyV2(t, hybridOf(t, v1, b)).Info)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, swarm.Fast(swarm.Config{}))
	if _, err := c.Add(t.Context(), swarm.AddOptions{Torrent: bare, Dir: t.TempDir()}); !errors.Is(err, snapshot.ErrBadTorrent) {
		t.Errorf("Add = %v, want %v", err, snapshot.ErrBadTorrent)
	}
}
