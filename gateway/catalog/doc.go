// Package catalog is what a gateway can serve: the versions of the configured channels that their signed pointers have named and
// that are still kept.
//
// For each channel a loop looks for a newer pointer, opens the snapshot that it names and fetches it in the background; readers
// that need a piece sooner get it first. What is kept is seeded, and the pointer is put into the DHT again where too few nodes
// hold it.
//
// Three decisions:
//
//   - "latest" moves as soon as the torrent of the newest pointer is known, before its data is here: a partial snapshot can be
//     read, and waiting would hold back what is new by the time of a whole download. While the torrent is not found, latest
//     stays where it was, but the newest pointer is shown: it is a signed fact, and others may find the torrent elsewhere.
//   - After a restart everything that lies on disk is served at once, without asking anybody. Latest is then the snapshot of the
//     newest pointer ever accepted, or, if that is not on disk, the newest that is.
//   - An old version is kept for as long as its publisher signed (retain), counted from the publication of the next one, and at least
//     [MinRetain]: downloads of it may have begun a moment before. The newest complete version is never removed before a newer
//     one is complete.
//
// What is shown is a value that is replaced as a whole, so that readers never wait for the loop.
package catalog
