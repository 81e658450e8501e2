package catalog

import (
	"context"
	"os"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// Peer is what the catalog needs of a member of the swarm. Its methods are called from several goroutines.
type Peer interface {
	// Newest is the newest record that was ever accepted, from disk.
	Newest(ch snapshot.Channel) (pointer.Record, bool)
	// Resolve asks everybody for the newest record; what it accepts is on disk, and Newest returns it from then on.
	Resolve(ctx context.Context, ch snapshot.Channel) error
	// Open makes the snapshot that rec names a holding, without fetching its data. It tries until ctx ends.
	Open(ctx context.Context, ch snapshot.Channel, rec pointer.Record) error
	// Holdings are the versions on disk, newest first.
	Holdings(salt string) []Holding
	// Discard removes a version from swarm and disk.
	Discard(ctx context.Context, salt string, v snapshot.Version) error
	// Reput stores the record in the DHT again if too few nodes hold it.
	Reput(ctx context.Context, rec pointer.Record) error
}

// Holding is a version on disk, whole or in part.
type Holding struct {
	Version snapshot.Version
	Torrent *snapshot.Torrent
	Data    Data
}

// complete reports whether every piece is here.
func (h Holding) complete() bool {
	pieces, _ := h.Data.Completed()
	return pieces == h.Torrent.NumPieces()
}

// Data is the data of a holding. Its methods are called from many goroutines.
type Data interface {
	// Torrent describes the data.
	Torrent() *snapshot.Torrent
	// Start fetches everything in the background; more calls do nothing.
	Start()
	// Stop ends that; readers still get what they wait for.
	Stop()
	// Done is closed when everything is here.
	Done() <-chan struct{}
	// Have reports whether piece i is on disk and verified.
	Have(i int) bool
	// WaitPiece returns when piece i is on disk and verified.
	WaitPiece(ctx context.Context, i int) error
	// Want asks for pieces before somebody waits for them, until release is called.
	Want(first, last int) (release func())
	// File opens the data.
	File() (*os.File, error)
	// Completed is how much is on disk and verified.
	Completed() (pieces int, bytes int64)
	// Received counts the bytes that arrived from anywhere.
	Received() int64
	// Err is what keeps data from being written to disk, nil if nothing does.
	Err() error
}
