// Package publish makes snapshots public: it packs a source into an archive, stores that in the bucket together with
// its torrent, reads both back the way everybody else will, and only then moves the channel's signed pointer.
//
// # The order of writing
//
// One publication is a row of steps, and none begins before the one before it is durable:
//
//	resolve   the channel's lease; then the newest pointer known to the bucket, the DHT and this machine: it becomes the
//	          history's previous link; another download name than its own is warned of
//	resume    an unfinished publication of the same is taken over, others go; after that, reserve and pack are left out
//	reserve   a version of its own, and room on the disk
//	pack      source → archive file; encoding, SHA-256, piece hashes, writing and fsync overlap in one pass
//	upload    archive, then its torrent beside it and by info-hash
//	probe     first, last and random pieces, those around 2, 4 and 5 GiB, and the torrents are read through the public
//	          address and hashed
//	announce  sign, persist the record on this machine, then bucket (unless its pointer was moved by somebody else), then
//	          DHT with read-back
//	retain    old versions go
//
// A crash or an error at any step leaves the pointer that was valid before: nothing that it names is ever touched
// before a newer one is out. What an unfinished run left behind is noted in a journal before it comes into being, so the
// next run finds it.
//
// # Going on
//
// A run that ends, by an error or a kill, after pack has left all that is needed to publish without the source: the archive,
// its torrent, and in the journal what they were made of. The next run takes them over under the same version and uploads
// what the bucket does not have yet, see [snapswarm/common/bucket.Store]. [Publisher.Publish] does so for the same unchanged
// source, [Publisher.Watch] whatever has become of its source; both only with the same settings, and as long as the
// snapshot that the torrent names as the one before is still the newest. The size and the time of the archive decide
// whether it is taken over, and all its bytes are compared with the torrent while it is uploaded. Everything else is given
// up with a line in the log and removed: a run that ended while it packed, a stream, an archive that is damaged or
// outdated, and all attempts but one.
//
// # One producer
//
// A lock in the data directory keeps a second process of this machine out, a lease in the bucket those of other machines; see
// lease.go for clocks. The lease is taken before anything is uploaded and renewed meanwhile, and its loss ends a publication.
// A process that stood still for so long that it lost the lease without knowing cannot overwrite a newer pointer: it puts its own under
// the condition that the one it has seen still lies there. A record that was refused so is never put again.
//
// # Time
//
// Sequence numbers and version names never go back, even when the clock does: both continue from the newest ones known.
//
// # Files
//
// Snapshots lie in DataDir/<salt>/<version>/<file> with their torrent beside them; the publisher's own state (lock,
// the lease's owner, journal, the last record signed, the torrent of an unfinished publication) in DataDir/.producer/<salt>/.
package publish
