package snapshot_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/snapshot"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func exampleDescription() *snapshot.Description {
	return &snapshot.Description{
		Version:   "20261120T060000Z-h1234",
		Created:   time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC),
		Height:    1234,
		Kind:      snapshot.KindTar,
		SHA256:    sha256.Sum256([]byte("archive")),
		RawSize:   5_000_000,
		RawSHA256: sha256.Sum256([]byte("raw")),
		RawName:   "chain.tar",
		Codec:     snapshot.Codec{Format: snapshot.FormatZstd, Chunk: 4 << 20, Encoder: "encoder 1", Level: "default"},
		Previous:  snapshot.InfoHash{1, 2, 3},
		Retain:    7 * 24 * time.Hour,
	}
}

func exampleTorrent(t *testing.T) *snapshot.Torrent {
	t.Helper()
	data := bytes.Repeat([]byte("snapshot"), 75_000)
	hasher := snapshot.NewPieceHasher(snapshot.MinPieceLength)
	_, _ = hasher.Write(data)
	pieces, size := hasher.Sum()
	torrent, err := snapshot.NewTorrent(snapshot.Content{
		Name:        "chain.tar.zst",
		Length:      size,
		PieceLength: snapshot.MinPieceLength,
		Pieces:      pieces,
		Description: exampleDescription(),
		Origins:     []string{"https://bucket.example/daily/20261120T060000Z-h1234/chain.tar.zst"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return torrent
}

func TestTorrentIsFrozenByTheGoldenFile(t *testing.T) {
	golden := filepath.Join("testdata", "chain.torrent.golden")
	got := exampleTorrent(t).Encode()
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("encoded torrent = %q, want %q", got, want)
	}
}

func TestParseTorrentReturnsWhatWasEncoded(t *testing.T) {
	want := exampleTorrent(t)
	got, err := snapshot.ParseTorrent(want.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parsed torrent differs (-want +got):\n%s", diff)
	}
	if got.InfoHash.IsZero() || got.NumPieces() != 3 {
		t.Errorf("info-hash %s, %d pieces, want a non-zero hash and 3", got.InfoHash, got.NumPieces())
	}
	if last := got.PieceSize(2); last != 600_000-2*snapshot.MinPieceLength {
		t.Errorf("last piece has %d bytes", last)
	}
}

func TestOriginsDoNotChangeTheInfoHash(t *testing.T) {
	a, b := exampleTorrent(t), exampleTorrent(t)
	b.Origins = nil
	reparsed, err := snapshot.ParseTorrent(b.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if a.InfoHash != reparsed.InfoHash {
		t.Errorf("info-hash %s without origins, %s with", reparsed.InfoHash, a.InfoHash)
	}
}

func TestParseTorrentRefuses(t *testing.T) {
	pieces := strings.Repeat("x", 20)
	info := func(name string, length, pieceLength int, pieces, more string) string {
		return fmt.Sprintf("d6:lengthi%de4:name%d:%s12:piece lengthi%de6:pieces%d:%s%se",
			length, len(name), name, pieceLength, len(pieces), pieces, more)
	}
	cases := []struct {
		name, info string
		want       error
	}{
		{"a name that climbs out", info("../x", 5, 262144, pieces, ""), snapshot.ErrUnsafeName},
		{"an absolute name", info("/etc/passwd", 5, 262144, pieces, ""), snapshot.ErrUnsafeName},
		{"a hidden name", info(".bashrc", 5, 262144, pieces, ""), snapshot.ErrUnsafeName},
		{"a name with a line break", info("a\nb", 5, 262144, pieces, ""), snapshot.ErrUnsafeName},
		{"an empty name", info("", 5, 262144, pieces, ""), snapshot.ErrUnsafeName},
		{"zero pieces", info("x", 5, 262144, "", ""), snapshot.ErrBadTorrent},
		{"zero length", info("x", 0, 262144, "", ""), snapshot.ErrBadTorrent},
		{"a negative length", info("x", -5, 262144, pieces, ""), snapshot.ErrBadTorrent},
		{"a piece length of zero", info("x", 5, 0, pieces, ""), snapshot.ErrBadTorrent},
		{"a piece length that is no power of two", info("x", 5, 300000, pieces, ""), snapshot.ErrBadTorrent},
		{"a huge piece length", info("x", 5, 1<<40, pieces, ""), snapshot.ErrBadTorrent},
		{"too few pieces", info("x", 1<<20, 262144, pieces, ""), snapshot.ErrBadTorrent},
		{"a description of the wrong type", info("x", 5, 262144, pieces, "8:snapshoti1e"), snapshot.ErrBadTorrent},
		{"a description without hashes", info("x", 5, 262144, pieces, "8:snapshotde"), snapshot.ErrBadTorrent},
		{"several files", "d5:filesld6:lengthi5e4:pathl1:aeee4:name1:x12:piece lengthi262144e6:pieces20:" + pieces + "e", snapshot.ErrNotSingleFile},
		{"no hashes at all", "d4:name1:x12:piece lengthi262144ee", snapshot.ErrBadTorrent},
		{"nothing", "", snapshot.ErrBadTorrent},
		{"a list", "le", snapshot.ErrBadTorrent},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := snapshot.ParseTorrent([]byte("d4:info" + c.info + "e"))
			if !errors.Is(err, c.want) || !errors.Is(err, snapshot.ErrBadTorrent) {
				t.Errorf("ParseTorrent = %v, want an error that wraps %v", err, c.want)
			}
		})
	}
}

func TestParseTorrentKeepsOnlyWebOrigins(t *testing.T) {
	info := "d6:lengthi5e4:name1:x12:piece lengthi262144e6:pieces20:" + strings.Repeat("x", 20) + "e"
	for list, want := range map[string][]string{
		"15:http://a.test/x":                          {"http://a.test/x"},
		"l16:https://a.test/x11:ftp://b/c/x6:file:/e": {"https://a.test/x"},
		"i5e": nil,
	} {
		got, err := snapshot.ParseTorrent([]byte("d4:info" + info + "8:url-list" + list + "e"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Origins); diff != "" {
			t.Errorf("origins of %s differ (-want +got):\n%s", list, diff)
		}
	}
}

func TestMagnetNamesOriginAndPeer(t *testing.T) {
	torrent := exampleTorrent(t)
	torrent.Name = "my chain+1.zst"
	want := "magnet:?xt=urn:btih:" + torrent.InfoHash.String() +
		"&dn=my%20chain%2B1.zst&xl=600000&ws=https%3A%2F%2Fbucket.example%2Fdaily%2F20261120T060000Z-h1234%2Fchain.tar.zst&x.pe=192.0.2.1%3A6881"
	if got := torrent.Magnet("192.0.2.1:6881"); got != want {
		t.Errorf("Magnet = %s, want %s", got, want)
	}
}

func FuzzParseTorrent(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("testdata", "chain.torrent.golden"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(golden)
	hybrid, err := os.ReadFile(filepath.Join("testdata", "hybrid.torrent.golden"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(hybrid)
	root := strings.Repeat("r", 32)
	f.Add([]byte("d4:infod9:file treed1:xd0:d6:lengthi5e11:pieces root32:" + root + "eee12:meta versioni2e4:name1:x12:piece lengthi262144eee"))
	f.Add([]byte("d4:infod6:lengthi5e4:name1:x12:piece lengthi262144e6:pieces20:xxxxxxxxxxxxxxxxxxxxee"))
	f.Fuzz(func(t *testing.T, b []byte) {
		torrent, err := snapshot.ParseTorrent(b)
		if err != nil {
			return
		}
		if err := snapshot.CheckFileName(torrent.Name); err != nil {
			t.Errorf("accepted the name %q: %v", torrent.Name, err)
		}
		total := int64(0)
		for i := range torrent.NumPieces() {
			total += torrent.PieceSize(i)
		}
		if total != torrent.Length || torrent.NumPieces() == 0 {
			t.Errorf("pieces add up to %d, length is %d", total, torrent.Length)
		}
		again, err := snapshot.ParseTorrent(torrent.Encode())
		if err != nil || again.InfoHash != torrent.InfoHash || (again.Tree == nil) != (torrent.Tree == nil) {
			t.Errorf("re-encoded torrent parses to %v, %v", again, err)
		}
		if torrent.Tree != nil && torrent.Tree.Layer != nil && len(torrent.Tree.Layer) != 32*torrent.NumPieces() {
			t.Errorf("a layer of %d bytes for %d pieces", len(torrent.Tree.Layer), torrent.NumPieces())
		}
		if !torrent.HasV1() && !torrent.HasV2() {
			t.Error("accepted a torrent without hashes")
		}
		torrent.NewCheck(torrent.NumPieces() - 1)
	})
}
