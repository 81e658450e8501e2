package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/daemon"
	"snapswarm/common/peer"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// adoptHuge makes this program, as a child, one that makes a huge snapshot and leaves what mirror and gateway would. It is a
// process of its own so that its memory is not that of the others.
const adoptHuge = "adopt"

// adopted is what a huge snapshot is made of.
type adopted struct {
	channel snapshot.Channel
	torrent *snapshot.Torrent
	record  pointer.Record
}

// runAdopt takes the folder that gets bucket and data, the file of the key, and the number of pieces.
func runAdopt(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("want a folder, a key and a number of pieces")
	}
	dir, keyFile := args[0], args[1]
	pieces, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	a, err := describeZeros(keyFile, pieces)
	if err != nil {
		return err
	}
	if err := a.upload(ctx, filepath.Join(dir, "bucket")); err != nil {
		return err
	}
	for _, program := range []string{"mirror", "gateway"} {
		if err := a.leave(ctx, filepath.Join(dir, program)); err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
	}
	return a.seal(filepath.Join(dir, "mirror"))
}

// describeZeros makes torrent and pointer of so many pieces of zeros, of which one is hashed.
func describeZeros(keyFile string, pieces int) (*adopted, error) {
	text, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	seed, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(seed) < ed25519.SeedSize {
		return nil, fmt.Errorf("%s holds no key", keyFile)
	}
	key := ed25519.NewKeyFromSeed(seed[:ed25519.SeedSize])
	public, _ := key.Public().(ed25519.PublicKey) // it is one
	a := &adopted{}
	if a.channel, err = snapshot.NewChannel(public, salt); err != nil {
		return nil, err
	}
	now := time.Now().UTC().Truncate(time.Second)
	piece := sha1.Sum(make([]byte, restartPieceLength))
	a.torrent, err = snapshot.NewTorrent(snapshot.Content{
		Name: restartFile, Length: int64(pieces) * restartPieceLength, PieceLength: restartPieceLength, Pieces: bytes.Repeat(piece[:], pieces),
		// SHA256 is not that of the whole, which would take half an hour to compute: a mirror that hashes once more what it has noted
		// as verified says that it is wrong.
		Description: &snapshot.Description{
			Version: snapshot.NewVersion(now, 0), Created: now, Kind: snapshot.KindFile, RawSize: int64(pieces) * restartPieceLength,
			RawName: "snapshot", Codec: snapshot.Codec{Format: snapshot.FormatNone},
		},
	})
	if err != nil {
		return nil, err
	}
	a.record, err = pointer.Sign(key, salt, now.UnixMilli(), pointer.Pointer{
		InfoHash: a.torrent.InfoHash, InfoSHA256: &a.torrent.InfoSHA256, Created: now, Expires: now.Add(24 * time.Hour),
	})
	return a, err
}

func (a *adopted) version() snapshot.Version { return a.torrent.Description.Version }

// upload stores the torrent and the pointer; nobody will want the data.
func (a *adopted) upload(ctx context.Context, dir string) error {
	store, err := bucket.Open(bucket.Config{URL: "file://" + dir})
	if err != nil {
		return err
	}
	torrent := a.torrent.Encode()
	for _, o := range []struct {
		key  string
		body []byte
	}{
		{bucket.TorrentKey(salt, a.version(), a.torrent.Name), torrent},
		{bucket.InfoHashKey(a.torrent.InfoHash), torrent},
		{bucket.PointerKey(salt), a.record.Encode()},
	} {
		if err := store.Put(ctx, o.key, bytes.NewReader(o.body), int64(len(o.body)), bucket.Defaults(o.key)); err != nil {
			return err
		}
	}
	return nil
}

// leave makes data the DATA_DIR of a process that had the whole snapshot and has ended.
func (a *adopted) leave(ctx context.Context, data string) error {
	var s peer.Settings
	s.DataDir, s.ListenAddr, s.DHTBootstrap, s.AllowPrivate = data, "127.0.0.1:0", daemon.HostPorts{}, true
	p, err := peer.Join(ctx, s, []snapshot.Channel{a.channel}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	path := p.ArchivePath(salt, a.version(), a.torrent.Name)
	err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600))
	if err == nil {
		err = os.Truncate(path, a.torrent.Length)
	}
	if err == nil {
		err = p.Accept(a.channel, a.record)
	}
	if err == nil {
		_, err = p.Adopt(ctx, a.channel, a.version(), a.torrent)
	}
	return errors.Join(err, p.Close())
}

// seal notes for the mirror that it has hashed the whole archive, which would take half an hour: the one file that is not made by
// the code that reads it, because commands cannot be imported. If its form changes, the mirror hashes, and the measurement says so.
func (a *adopted) seal(data string) error {
	info, err := os.Stat(filepath.Join(data, salt, string(a.version()), a.torrent.Name))
	if err != nil {
		return err
	}
	text, err := json.Marshal(map[string]int64{"size": info.Size(), "modified": info.ModTime().UnixNano()})
	if err != nil {
		return err
	}
	dir := filepath.Join(data, salt, ".verified")
	return errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, a.torrent.InfoHash.String()), text, 0o600))
}
