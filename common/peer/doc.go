// Package peer makes a process a member of the swarm: one port with a BitTorrent client (TCP) and a
// DHT node (UDP), the resolver that finds pointers in the DHT and in buckets, and the versions that
// lie on disk and are seeded.
//
// It is what producer, mirror and gateway have in common, and the only package that joins dht,
// bucket, swarm and pointer; those do not know of each other. What a command does with the newest
// pointer (publish after it, mirror it, serve it) is the command's own.
//
// On disk, below DATA_DIR:
//
//	<salt>/<version>/<file>            the archive; beside it, hidden, which pieces are there and which peers were of use
//	<salt>/<version>/<file>.torrent    its torrent, with the origins it was found with
//	<salt>/.discarded-<version>        what is being deleted
//	<salt>/channel                     the link of the channel that the folder belongs to
//	pointers/                          the ratchet: the newest pointer accepted of each channel
//	dht/                               the routing table
//	lock                               held by the process that uses the folder
package peer
