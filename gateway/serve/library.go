package serve

import (
	"context"
	"os"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// Library is what can be served. Nothing else is, whatever a client asks for. Its methods return what is known at that moment
// without waiting for anything, and are called from many goroutines.
type Library interface {
	// Channels are the channels in the order of the listing, no two of the same salt.
	Channels() []snapshot.Channel
	// Newest is the newest signed record of the channel that was accepted.
	Newest(salt string) (pointer.Record, bool)
	// Latest is the version behind the alias "latest".
	Latest(salt string) (snapshot.Version, bool)
	// Versions are all versions of the channel that can be served, newest first.
	Versions(salt string) []snapshot.Version
	// Open returns a version. It does no I/O and there is nothing to close.
	Open(salt string, v snapshot.Version) (Snapshot, bool)
	// Trouble is why the newest version, which Open does not have, cannot be had at the moment; nil for any other.
	Trouble(salt string, v snapshot.Version) error
}

// Snapshot is one version and its data, as far as it is here. Its methods are called from many goroutines.
type Snapshot interface {
	// Torrent describes the data. It does not change.
	Torrent() *snapshot.Torrent
	// Have reports whether piece i is on disk and verified.
	Have(i int) bool
	// WaitPiece returns when piece i is on disk and verified, or with an error when that cannot be or ctx ended. While it waits,
	// the piece comes before all others.
	WaitPiece(ctx context.Context, i int) error
	// Want asks for the pieces first to last before somebody waits for them, until release is called. Until then they come before
	// those that nobody asked for.
	Want(first, last int) (release func())
	// File opens the data. Only pieces that Have or WaitPiece vouched for may be read. The caller closes it.
	File() (*os.File, error)
	// Completed is how much is on disk and verified.
	Completed() (pieces int, bytes int64)
	// Received counts the bytes that arrived from anywhere, verified or not. It tells a slow source from a dead one.
	Received() int64
}
