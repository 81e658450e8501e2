//go:build e2e

package e2e_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"time"

	"snapswarm/common/archive"
	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/docker/stack"
)

// forge is a publisher who does wrong things: a folder behind a web server, and the channel's key.
type forge struct {
	*world
	url string
	dir string
	key ed25519.PrivateKey
	now time.Time
}

func (w *world) forge() *forge {
	w.t.Helper()
	f := &forge{world: w, dir: w.t.TempDir(), key: w.key(), now: time.Now()}
	server := httptest.NewServer(http.FileServer(http.Dir(f.dir)))
	w.t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// key is the channel's signing key.
func (w *world) key() ed25519.PrivateKey {
	w.t.Helper()
	var seed []byte
	_, err := fmt.Sscanf(w.text(filepath.Dir(w.KeyFile), filepath.Base(w.KeyFile)), "%x", &seed)
	w.ok(err)
	return ed25519.NewKeyFromSeed(seed)
}

// forged is a snapshot that can be wrong in every way.
type forged struct {
	raw     []byte
	archive []byte
	torrent *snapshot.Torrent
	version snapshot.Version
}

const forgedFile = "chain.zst"

// pack makes a right one, from raw data; change may change what is signed, and the archive.
func (f *forge) pack(n int, raw []byte, change func(*forged, *snapshot.Description)) forged {
	f.t.Helper()
	p := forged{raw: raw, version: snapshot.NewVersion(f.now.Add(time.Duration(n-100)*time.Second), 0)}
	var packed bytes.Buffer
	r, err := archive.Write(f.ctx, &packed, archive.ReaderSource("chain", bytes.NewReader(raw)), archive.Options{})
	f.ok(err)
	p.archive = packed.Bytes()
	d := &snapshot.Description{
		Version: p.version, Created: f.now, Kind: snapshot.KindFile, SHA256: r.SHA256,
		RawSize: r.RawSize, RawSHA256: r.RawSHA256, RawName: "chain",
		Codec: snapshot.Codec{Format: snapshot.FormatZstd, Chunk: r.Chunk, Encoder: r.Encoder, Level: r.Level},
	}
	if change != nil {
		change(&p, d)
	}
	pieces, err := snapshot.HashPieces(f.ctx, bytes.NewReader(p.archive), int64(len(p.archive)), snapshot.MinPieceLength)
	f.ok(err)
	p.torrent, err = snapshot.NewTorrent(snapshot.Content{
		Name: forgedFile, Length: int64(len(p.archive)), PieceLength: snapshot.MinPieceLength, Pieces: pieces, Description: d,
	})
	f.ok(err)
	return p
}

// put stores an object.
func (f *forge) put(key string, b []byte) {
	f.write(filepath.Join(f.dir, filepath.FromSlash(key)), b, 0o644)
}

// publish stores everything of a snapshot, with the sequence number of its n.
func (f *forge) publish(n int, p forged) pointer.Record {
	f.put(bucket.ArchiveKey(f.Channel.Salt, p.version, forgedFile), p.archive)
	f.put(bucket.InfoHashKey(p.torrent.InfoHash), p.torrent.Encode())
	return f.announce(n, p.torrent)
}

// announce signs and stores a pointer to a torrent.
func (f *forge) announce(n int, t *snapshot.Torrent) pointer.Record {
	f.t.Helper()
	rec, err := pointer.Sign(f.key, f.Channel.Salt, f.seq(n), pointer.Pointer{
		InfoHash: t.InfoHash, InfoSHA256: &t.InfoSHA256, Created: f.now, Expires: f.now.Add(time.Hour),
	})
	f.ok(err)
	f.put(bucket.PointerKey(f.Channel.Salt), rec.Encode())
	return rec
}

// seq are sequence numbers of some seconds ago.
func (f *forge) seq(n int) int64 { return f.now.Add(time.Duration(n-100) * time.Second).UnixMilli() }

// sign makes a record of any value at all.
func (f *forge) sign(seq int64, value []byte) pointer.Record {
	rec := pointer.Record{Key: f.Channel.Key, Salt: f.Channel.Salt, Seq: seq, Value: value}
	message := fmt.Appendf(nil, "4:salt%d:%s3:seqi%de1:v%s", len(rec.Salt), rec.Salt, seq, value)
	copy(rec.Sig[:], ed25519.Sign(f.key, message))
	return rec
}

// named stores a torrent whose info dictionary is given as it is, and a pointer that signs it.
func (f *forge) named(n int, info string) {
	f.t.Helper()
	t := snapshot.Torrent{Info: []byte(info), InfoSHA256: sha256.Sum256([]byte(info)), InfoHash: sha1Of(info)}
	f.put(bucket.InfoHashKey(t.InfoHash), fmt.Appendf(nil, "d4:info%se", info))
	f.announce(n, &t)
}

// fetch is a mirror that knows nothing but the folder.
func (f *forge) fetch(name string, args ...string) ended {
	f.t.Helper()
	env := alone(stack.Env{"BUCKET_URL": f.url, "LOG_LEVEL": "error", "STALL_TIMEOUT": "3s", "POINTER_TIMEOUT": "3s", "ORIGIN_PATIENCE": "1s"})
	return f.once(name, env, args...)
}
