package snapshot_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	"github.com/google/go-cmp/cmp"

	"snapswarm/common/snapshot"
)

// foreignHashes are the info-hashes that libtorrent 2.0.8 gives the first size bytes of [blocks] as chain.bin.
var foreignHashes = []struct {
	pieceLength, size          int64
	hybridV1, hybridV2, v2Only string
}{
	{16384, 1, "58e80d28f706bd126c5f2c32b3f9e12bebe38fea", "2db96966e1bbabec1102dd98abfb18500088c537988a48627a83691c75dcdfd8", "9652e2ba5892cd351df291cb1f5c52ed548fe9c16006803b7ef4ce042b1dd0d2"},
	{16384, 16384, "c0435fde3cbd0549ebd5e0b6fb4769fbd3ad9415", "e174d480375d84ae83045e7fa12a27ed4c68890dd08686323e6cf32b45e6ff86", "e69bf66967ec358ed23026dde9c83bd69146f2123bdbbe2e673c02e6578ce0c3"},
	{16384, 100000, "840c5fd281f21a0961a312c3ed52b5e218481642", "6de17e063535bd9cb597ad7c29d3364528180be0ca6e1ae3bfb7b3d3d7fc65dd", "bfb2ee0a6509475dd5fabeef7aaccc01c756573218bdbc6f945b20a6ac1fb5c2"},
	{16384, 262144, "1475a2ef33efe8b84edf24ef206df01f48931e7f", "d6fb2362dc5c8d2a5b25fb7aab36750a0079f8d31fb95fa5590cdaef8f8d253d", "b9d153d9daeff6646bde172e799b90713ee365e2394f0db35d451fe92b387a66"},
	{16384, 262145, "4767b7724b99799b9a7a323fe9819c8c867bc736", "7c10e408a805b2aeb27e098d1707f9c8aeaa47ab48d6ce158ac0478ce14b69eb", "7071f1c07f537120e807efa3353ff6f0f34bc24a39c0a2c31cad8ca729e96476"},
	{16384, 3158073, "408cc26fad92a1529124b380a706505d76dbd8c6", "a6e4a2a4a894a0ef2d2b95e0cb88b32adbc7b8c2b52ca2e37c8e1e345e62412a", "192967d141b50a1e073476f37224a4896d80a6b779b077919af6b6439a7fc9b0"},
	{16384, 1310720, "ca6b3055c0ce395cf37af721c67f107053273420", "53766b5dc5945c19c943e0a0e8451c69f2f4a6cd90ace659ad123fbad0a77697", "0af1404b86f59c3ba2c34420eb8a525375ac291d745a1c0c4b972bbc15b24e81"},
	{262144, 1, "143242fb67ec2466427e360d0f50435bec7f6719", "f433e800d78cb1b54e457955eb9de0dfa209d36f0a2694f6d2d0097ba1ab1aa6", "7a0e2f773fa3b31deeca590daa2dbc112a5e3ea036745307529d09cfac11909d"},
	{262144, 16384, "a7cad00167e3cc4b9443c77c49e1d218300c2652", "5cf1e3c22aaafb508598f82759fe01f3f3192c12b6cae41d7e2d6458ec67e6b9", "c38b184f2075f4004a0f64deb4ae7803fee248365587d53ed53fabd68539255f"},
	{262144, 100000, "9f06475a53de026af87d7fd79cb3d2c217ddedcb", "0b94f012e5f3aebb4b5b689ca9bf5bce863c733f938d2429876f7b14a2cc7825", "c065a7e2beeb76365395dd195178bb6f427bd77a293d555484dd7868f5b53108"},
	{262144, 262144, "b68a6c2e561b7eee10ffecd329138e818f051b5a", "2eb92945a7722acb4a6e2dda0410754a6e2a2e41ed79e189a79c3c035a6c23a7", "58d6621817275cd34e27acdef7bc5cfc5fb01b9a13b9ccb0998f9df220689f68"},
	{262144, 262145, "882908d00ad04c77dd4de8261f7c9450851dcb12", "41c681ef44cb2a32a43e96421ba0f906370364ec3ab63460dc5645a158eec576", "fc51661b84645bb3fa9ea2093699ccd7a1a42a0bf7333fa74f905bcd1879c915"},
	{262144, 3158073, "d9ebc97017ffc2d976724fd840e571351990164f", "23579acd1333b2d787db5ac0d99f87ed1bd56b17db7fbbc373a0015bef736285", "61fead276034ef76de392f7cbf440f24fd049935782e81779e5d9b5f7fe155a9"},
	{262144, 1310720, "c78f717792ea007b98b8c7acb07b6bc6864e2de1", "35d71bbabe9f5775eb2a779eed58e63b698ffcf3d592e1b49a8e634641fcc346", "61c9b85bbc1704e716e3d716bcc54d0f35f2e51dd8ce8a8e9e9c3689da1d1612"},
}

// blocks are n bytes that differ everywhere.
func blocks(n int64) []byte {
	var b []byte
	for i := 0; int64(len(b)) < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "block %d", i))
		b = append(b, sum[:]...)
	}
	return b[:n]
}

// hybrid makes a torrent of data as a file, by one pass over it.
func hybrid(t *testing.T, data []byte, pieceLength int64) *snapshot.Torrent {
	t.Helper()
	pieces, tree, err := snapshot.HashHybrid(t.Context(), bytes.NewReader(data), int64(len(data)), pieceLength)
	if err != nil {
		t.Fatal(err)
	}
	torrent, err := snapshot.NewTorrent(snapshot.Content{Name: "chain.bin", Length: int64(len(data)), PieceLength: pieceLength, Pieces: pieces, Tree: tree})
	if err != nil {
		t.Fatal(err)
	}
	return torrent
}

// onlyV2 is the .torrent of the v2 part of torrent alone, as libtorrent writes it.
func onlyV2(t *testing.T, torrent *snapshot.Torrent) []byte {
	t.Helper()
	var meta, info map[string]bencode.Bytes
	if err := bencode.Unmarshal(torrent.Encode(), &meta); err != nil {
		t.Fatal(err)
	}
	if err := bencode.Unmarshal(meta["info"], &info); err != nil {
		t.Fatal(err)
	}
	delete(info, "length")
	delete(info, "pieces")
	meta["info"] = bencode.MustMarshal(info)
	return bencode.MustMarshal(meta)
}

func TestInfoHashesAreThoseOfOtherPrograms(t *testing.T) {
	for _, c := range foreignHashes {
		t.Run(fmt.Sprintf("%d bytes in pieces of %d", c.size, c.pieceLength), func(t *testing.T) {
			data := blocks(c.size)
			torrent := hybrid(t, data, c.pieceLength)
			if got := torrent.InfoHash.String(); got != c.hybridV1 {
				t.Errorf("v1 info-hash %s, want %s", got, c.hybridV1)
			}
			if got := hex.EncodeToString(torrent.InfoSHA256[:]); got != c.hybridV2 {
				t.Errorf("v2 info-hash %s, want %s", got, c.hybridV2)
			}
			if got := torrent.ShortV2().String(); got != c.hybridV2[:40] {
				t.Errorf("short v2 info-hash %s", got)
			}
			v2, err := snapshot.ParseTorrent(onlyV2(t, torrent))
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(v2.InfoSHA256[:]); got != c.v2Only || v2.InfoHash.String() != c.v2Only[:40] || v2.HasV1() || !v2.HasV2() {
				t.Errorf("without a v1 part: info-hash %s (short %s), v1 %v, want %s", got, v2.InfoHash, v2.HasV1(), c.v2Only)
			}
			if diff := cmp.Diff(torrent.Tree, v2.Tree); diff != "" {
				t.Errorf("trees differ (-hybrid +v2):\n%s", diff)
			}
			hasher := snapshot.NewHybridHasher(c.pieceLength)
			for rest := data; len(rest) > 0; {
				n := min(len(rest), 10_007)
				_, _ = hasher.Write(rest[:n])
				rest = rest[n:]
			}
			if pieces, size := hasher.Sum(); !bytes.Equal(pieces, torrent.Pieces) || size != c.size {
				t.Errorf("hashed as a stream, %d bytes have other pieces", size)
			}
			if diff := cmp.Diff(torrent.Tree, hasher.Tree()); diff != "" {
				t.Errorf("hashed as a stream it differs (-file +stream):\n%s", diff)
			}
			checkPieces(t, torrent, data)
			checkPieces(t, v2, data)
		})
	}
}

// checkPieces looks whether every piece of data counts as right, and none with a bit changed.
func checkPieces(t *testing.T, torrent *snapshot.Torrent, data []byte) {
	t.Helper()
	data = bytes.Clone(data)
	for i := range torrent.NumPieces() {
		begin := int64(i) * torrent.PieceLength
		piece := data[begin : begin+torrent.PieceSize(i)]
		for _, wrong := range []bool{false, true} {
			if wrong {
				piece[len(piece)/2] ^= 1
			}
			for name, check := range map[string]*snapshot.PieceCheck{"all": torrent.NewCheck(i), "tree": torrent.NewTreeCheck(i)} {
				_, _ = check.Write(piece[:len(piece)/3])
				_, _ = check.Write(piece[len(piece)/3:])
				if check.Right() == wrong {
					t.Fatalf("piece %d by %s: right %v, want %v", i, name, !wrong, !wrong)
				}
			}
		}
	}
}

// TestTheTreeIsCheckedBesideSHA1 has a torrent whose two halves contradict each other, as after a collision of SHA-1.
func TestTheTreeIsCheckedBesideSHA1(t *testing.T) {
	data := blocks(600_000)
	torrent := hybrid(t, data, snapshot.MinPieceLength)
	other := hybrid(t, append(blocks(599_999), 7), snapshot.MinPieceLength)
	torrent.Tree = other.Tree
	for i, want := range []bool{true, true, false} {
		check := torrent.NewCheck(i)
		_, _ = check.Write(data[int64(i)*torrent.PieceLength:][:torrent.PieceSize(i)])
		if check.Right() != want {
			t.Errorf("piece %d: right %v, want %v", i, !want, want)
		}
	}
}

func TestWithoutItsLayerATreeSaysNothing(t *testing.T) {
	data := blocks(600_000)
	torrent := hybrid(t, data, snapshot.MinPieceLength)
	bare, err := snapshot.ParseInfo(torrent.Info)
	if err != nil {
		t.Fatal(err)
	}
	if bare.NewTreeCheck(0) != nil || bare.PieceLayers() != nil || bytes.Contains(bare.Encode(), []byte("piece layers")) {
		t.Error("a torrent from its info alone claims to know the layer")
	}
	check := bare.NewCheck(0)
	_, _ = check.Write(data[:snapshot.MinPieceLength])
	if !check.Right() {
		t.Error("piece 0 is wrong by its v1 hash")
	}
	if err := bare.SetLayer(bytes.Repeat([]byte{1}, 96)); !errors.Is(err, snapshot.ErrBadTorrent) {
		t.Errorf("SetLayer of another layer = %v, want %v", err, snapshot.ErrBadTorrent)
	}
	if err := bare.SetLayer(torrent.Tree.Layer); err != nil || !bytes.Equal(bare.Encode(), torrent.Encode()) {
		t.Errorf("SetLayer = %v; encoded as before: %v", err, bytes.Equal(bare.Encode(), torrent.Encode()))
	}
}

func TestHybridIsFrozenByTheGoldenFile(t *testing.T) {
	golden := filepath.Join("testdata", "hybrid.torrent.golden")
	v1 := exampleTorrent(t)
	data := bytes.Repeat([]byte("snapshot"), 75_000)
	pieces, tree, err := snapshot.HashHybrid(t.Context(), bytes.NewReader(data), int64(len(data)), v1.PieceLength)
	if err != nil {
		t.Fatal(err)
	}
	torrent, err := snapshot.NewTorrent(snapshot.Content{
		Name: v1.Name, Length: v1.Length, PieceLength: v1.PieceLength, Pieces: pieces, Tree: tree, Description: v1.Description, Origins: v1.Origins,
	})
	if err != nil {
		t.Fatal(err)
	}
	got := torrent.Encode()
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
	parsed, err := snapshot.ParseTorrent(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(torrent, parsed); diff != "" {
		t.Errorf("parsed torrent differs (-want +got):\n%s", diff)
	}
	if want := "magnet:?xt=urn:btih:" + torrent.InfoHash.String() + "&xt=urn:btmh:1220" + hex.EncodeToString(torrent.InfoSHA256[:]) + "&dn="; !strings.HasPrefix(torrent.Magnet(), want) {
		t.Errorf("Magnet = %s, want %s…", torrent.Magnet(), want)
	}
}

func TestParseTorrentRefusesBadTrees(t *testing.T) {
	root := strings.Repeat("r", 32)
	file := func(length int, root string) string {
		return fmt.Sprintf("d0:d6:lengthi%de11:pieces root%d:%see", length, len(root), root)
	}
	info := func(tree, v1 string) string {
		length, pieces, _ := strings.Cut(v1, "|")
		return "d9:file tree" + tree + length + "12:meta versioni2e4:name1:x12:piece lengthi262144e" + pieces + "e"
	}
	v1Pieces := "|6:pieces20:" + strings.Repeat("x", 20)
	hybrid := "6:lengthi5e" + v1Pieces
	cases := []struct {
		name, torrent string
		want          error
	}{
		{"no tree", info("de", "|"), snapshot.ErrNotSingleFile},
		{"a tree that is no dictionary", info("le", "|"), snapshot.ErrBadTorrent},
		{"another name", info("d1:y"+file(5, root)+"e", "|"), snapshot.ErrNotSingleFile},
		{"two files", info("d1:x"+file(5, root)+"1:y"+file(5, root)+"e", "|"), snapshot.ErrNotSingleFile},
		{"a folder of its name", info("d1:xd1:x"+file(5, root)+"ee", "|"), snapshot.ErrNotSingleFile},
		{"a short root", info("d1:x"+file(5, root[:31])+"e", "|"), snapshot.ErrBadTorrent},
		{"no length", info("d1:x"+file(0, root)+"e", "|"), snapshot.ErrBadTorrent},
		{"a negative length", info("d1:x"+file(-1, root)+"e", "|"), snapshot.ErrBadTorrent},
		{"more pieces than fit", info("d1:x"+file(1<<47, root)+"e", "|"), snapshot.ErrBadTorrent},
		{"two lengths", info("d1:x"+file(6, root)+"e", hybrid), snapshot.ErrBadTorrent},
		{"a length without pieces", info("d1:x"+file(5, root)+"e", "6:lengthi5e|"), snapshot.ErrBadTorrent},
		{"pieces without a length", info("d1:x"+file(5, root)+"e", v1Pieces), snapshot.ErrBadTorrent},
		{"a layer of another tree", info("d1:x"+file(300_000, root)+"e", "|") + "12:piece layersd32:" + root + "64:" + strings.Repeat("l", 64) + "e", snapshot.ErrBadTorrent},
		{"a layer that is too short", info("d1:x"+file(300_000, root)+"e", "|") + "12:piece layersd32:" + root + "32:" + root + "e", snapshot.ErrBadTorrent},
		{"a layer that is a number", info("d1:x"+file(300_000, root)+"e", "|") + "12:piece layersd32:" + root + "i1ee", snapshot.ErrBadTorrent},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := snapshot.ParseTorrent([]byte("d4:info" + c.torrent + "e"))
			if !errors.Is(err, c.want) || !errors.Is(err, snapshot.ErrBadTorrent) {
				t.Errorf("ParseTorrent = %+v, %v, want an error that wraps %v", got, err, c.want)
			}
		})
	}
	for _, good := range []string{info("d1:x"+file(5, root)+"e", "|"), info("d1:x"+file(5, root)+"e", hybrid)} {
		if _, err := snapshot.ParseTorrent([]byte("d4:info" + good + "e")); err != nil {
			t.Errorf("ParseTorrent of a good one = %v", err)
		}
	}
}

// FuzzPieceLayers takes any bytes for the layers of torrents that have room for one, with and without a v1 part.
func FuzzPieceLayers(f *testing.F) {
	pieces, tree, err := snapshot.HashHybrid(f.Context(), bytes.NewReader(blocks(600_000)), 600_000, snapshot.MinPieceLength)
	if err != nil {
		f.Fatal(err)
	}
	torrent, err := snapshot.NewTorrent(snapshot.Content{Name: "x", Length: 600_000, PieceLength: snapshot.MinPieceLength, Pieces: pieces, Tree: tree})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bencode.MustMarshal(torrent.PieceLayers()))
	f.Add([]byte("de"))
	f.Add([]byte("d32:" + strings.Repeat("r", 32) + "0:e"))
	f.Fuzz(func(t *testing.T, layers []byte) {
		b := fmt.Appendf(nil, "d4:info%s12:piece layers%se", torrent.Info, layers)
		got, err := snapshot.ParseTorrent(b)
		if err != nil {
			return
		}
		if got.Tree == nil || got.Tree.Layer != nil && !bytes.Equal(got.Tree.Layer, tree.Layer) {
			t.Errorf("accepted another layer than the one that belongs to the root: %x", got.Tree.Layer)
		}
	})
}

// FuzzFileTree takes any bytes for the file tree of a torrent that is v2 only.
func FuzzFileTree(f *testing.F) {
	root := strings.Repeat("r", 32)
	f.Add([]byte("d1:xd0:d6:lengthi5e11:pieces root32:" + root + "eee"))
	f.Add([]byte("d1:xd0:d6:lengthi0eeee"))
	f.Add([]byte("d1:xd1:yd0:d6:lengthi5e11:pieces root32:" + root + "eeee"))
	f.Fuzz(func(t *testing.T, tree []byte) {
		got, err := snapshot.ParseInfo(fmt.Appendf(nil, "d9:file tree%s12:meta versioni2e4:name1:x12:piece lengthi262144ee", tree))
		if err != nil {
			return
		}
		if got.HasV1() || !got.HasV2() || got.Length <= 0 || got.InfoHash != got.ShortV2() || got.InfoHash.IsZero() {
			t.Errorf("accepted %+v", got)
		}
		if got.Verifiable() != (got.NumPieces() == 1) {
			t.Errorf("verifiable %v with %d pieces and no layer", got.Verifiable(), got.NumPieces())
		}
	})
}
