package follow

import (
	"context"
	"time"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// Peer is this process's part in the swarm. Its methods may be called from several goroutines, and return soon after their
// context has ended.
type Peer interface {
	// Resolve asks everybody for the newest pointer; when it returns without error, the pointer is remembered on disk.
	Resolve(ctx context.Context, ch snapshot.Channel) (pointer.Resolution, error)
	// Newest is the pointer remembered, without asking anybody.
	Newest(ch snapshot.Channel) (pointer.Record, bool)
	// Reput hands the pointer to the DHT again where it is about to be forgotten.
	Reput(ctx context.Context, rec pointer.Record) error
	// Open gets the torrent that rec names and joins its swarm. Nothing is downloaded before Start.
	Open(ctx context.Context, ch snapshot.Channel, rec pointer.Record) (Copy, error)
	// Copies are the versions of a channel on this machine.
	Copies(salt string) []Copy
	// Discard leaves the swarm of c and deletes it.
	Discard(ctx context.Context, c Copy) error
}

// Copy is one version on this machine, complete or not. Its methods may be called from several goroutines.
type Copy interface {
	Version() snapshot.Version
	Torrent() *snapshot.Torrent
	// Path is the archive, a sparse file until it is complete.
	Path() string
	// Start fetches everything that is missing; Stop fetches no more and goes on seeding.
	Start()
	Stop()
	// Completed is how many bytes are in pieces that are here and hashed.
	Completed() int64
	// Done is closed when every piece is.
	Done() <-chan struct{}
	// Sync makes what is here survive a power loss.
	Sync() error
	// Check hashes every piece on disk again and returns how many are missing from now on because they were damaged.
	Check(ctx context.Context) (bad int, err error)
	Stats() Stats
}

// Stats says where data came from since the process started, and what stands in the way.
type Stats struct {
	FromPeers, FromOrigin int64 // bytes of pieces that are here and hashed
	Received              int64 // bytes that arrived, also those of pieces that are still incomplete
	Uploaded              int64 // bytes
	Peers, Seeds          int   // connected now; seeds have everything
	// Damaged is how many pieces were lost on this disk and have to come again. Ailing means that nothing else is missing, apart from
	// pieces that are being hashed.
	Damaged int
	Ailing  bool
	// Scrubbed is when all of the file was last read and hashed again, zero if it never was; Scrubbing is the part passed since.
	Scrubbed  time.Time
	Scrubbing float64
	// Disk is set while the file cannot be written.
	Disk error
	// Origins has the last error of each origin that has one, by its URL.
	Origins map[string]error
}

func isDone(c Copy) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}
