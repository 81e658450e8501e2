package buckettest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// Published is a snapshot as its publisher leaves it in a bucket. A test may change what should be wrong before Write.
type Published struct {
	Key     ed25519.PrivateKey
	Channel snapshot.Channel
	Version snapshot.Version
	Data    []byte
	Torrent *snapshot.Torrent
	Record  pointer.Record
}

// Key signs for all channels of tests.
func Key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

// Channel is the one of that name whose key is [Key].
func Channel(tb testing.TB, salt string) snapshot.Channel {
	tb.Helper()
	public, _ := Key().Public().(ed25519.PublicKey)
	ch, err := snapshot.NewChannel(public, salt)
	if err != nil {
		tb.Fatal(err)
	}
	return ch
}

// Publish makes a snapshot of some MiB that do not compress, the same each time, and a pointer to it that was signed just now and
// names baseURL unless that is empty.
func Publish(tb testing.TB, salt, file, baseURL string) Published {
	tb.Helper()
	p := Published{Key: Key(), Channel: Channel(tb, salt), Version: "20261120T060000Z", Data: make([]byte, 3<<20+12345)}
	_, _ = rand.NewChaCha8([32]byte{7}).Read(p.Data)
	size := int64(len(p.Data))
	pieces, err := snapshot.HashPieces(tb.Context(), bytes.NewReader(p.Data), size, snapshot.MinPieceLength)
	if err != nil {
		tb.Fatal(err)
	}
	p.Torrent, err = snapshot.NewTorrent(snapshot.Content{
		Name: file, Length: size, PieceLength: snapshot.MinPieceLength, Pieces: pieces,
		Description: &snapshot.Description{
			Version: p.Version, Created: p.Version.Time(), Kind: snapshot.KindFile, SHA256: sha256.Sum256(p.Data),
			RawSize: size, RawName: "chain", Codec: snapshot.Codec{Format: snapshot.FormatNone},
		},
	})
	if err != nil {
		tb.Fatal(err)
	}
	p.Record, err = pointer.Sign(p.Key, salt, time.Now().UnixMilli(), pointer.Pointer{
		InfoHash: p.Torrent.InfoHash, InfoSHA256: &p.Torrent.InfoSHA256, Created: p.Version.Time(),
		Expires: time.Now().Add(time.Hour), BaseURL: baseURL,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// Write puts everything below dir, where a web server would have it.
func (p Published) Write(tb testing.TB, dir string) {
	tb.Helper()
	salt, file := p.Channel.Salt, p.Torrent.Name
	for key, b := range map[string][]byte{
		bucket.ArchiveKey(salt, p.Version, file): p.Data,
		bucket.InfoHashKey(p.Torrent.InfoHash):   p.Torrent.Encode(),
		bucket.TorrentKey(salt, p.Version, file): p.Torrent.Encode(),
		bucket.PointerKey(salt):                  p.Record.Encode(),
	} {
		path := filepath.Join(dir, key)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o600)); err != nil {
			tb.Fatal(err)
		}
	}
}
