// Package swarm fetches, keeps and seeds snapshots: a BitTorrent client whose pieces come from peers and, where peers do not have
// them, from HTTP origins.
//
// The wire protocol is github.com/anacrolix/torrent's. Five things are ours, because a snapshot is one large file that others
// read while it arrives and that must survive a restart without being hashed again:
//
//   - Storage. A snapshot is one regular, sparse file at its final place. A piece counts as present only after its hash was checked,
//     and bytes of a present piece are never written again, so a reader that waited for a piece may use plain file reads.
//     Beside the file lies a record of the pieces that are on disk (see FORMAT.md): a bit is written after the data's fsync and
//     holds only for the very file (size, modification time, inode) that it was written for. Anything else is hashed first.
//   - Origins. The library's webseed scheduler makes every client fetch everything from the origin and drops pieces for good after
//     one 404. Here package schedule decides: a piece is taken from an origin if no peer that delivers has it, this client is the
//     one elected for it and its peers already have what it has, or after a patience without progress; bytes are hashed in
//     memory before they touch the file; failures are retried for ever, with growing delays per origin. Of several, the one that
//     behaves best and answers soonest is asked. Before an origin is relied on for more than 2 GiB, it is asked for the file's last
//     byte: some proxies and caches serve no ranges that deep.
//   - Formats. Torrents may be v1, hybrid or v2 only. Of a hybrid, the library looks at the SHA-1 alone; here each piece must also be
//     what the SHA-256 tree says, wherever it came from, if the tree's layer is known: it comes with a .torrent, or from a peer that
//     speaks v2 and has everything.
//   - Peers of before. Beside the file also lie the addresses of peers that data was exchanged with, so that a restart finds its
//     swarm again when DHT, trackers and seed peers are away.
//   - Readers. [Snapshot.WaitPiece] raises a piece above all others and takes it from an origin when peers are slow.
//
// A file that somebody else changed while it is held is noticed by its size and modification time: when it is opened, with each save,
// and every few seconds. Nothing of it counts as present then until it was hashed again.
//
// BUG: libtorrent 2.0 asks for more of a short last piece of a torrent that is v2 only than there is, and the library ends the
// connection then: such a snapshot cannot be seeded to libtorrent, unless its length is a multiple of the piece length.
//
// Bytes that rot on disk, or are changed with the modification time put back, are found by a scrubber (Config.ScrubRate): it reads
// all that is present again and again, past the page cache where the system can, so that it sees the disk and takes no memory from
// readers. A piece that is wrong or unreadable is present no more, which the record says at once, and is fetched again even where
// nothing else is. Snapshots take turns, a piece each, the one that was read through longest ago first; how far it is lies beside
// the file, so that a process that is restarted daily gets round a terabyte, too.
//
// BUG: who was told that a piece is present, and reads it while the scrubber finds it to be rotten, gets what lies on the disk.
//
// Everything here may be used from many goroutines at once.
package swarm
