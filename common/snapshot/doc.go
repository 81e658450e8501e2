// Package snapshot names things: the channel a snapshot is published on, its version and file name,
// the torrent that carries it and the signed description inside that torrent.
//
// It does no I/O beyond reading bytes it is given and knows nothing of networks or buckets; every
// other package builds on it. The formats are public and described in FORMAT.md beside the code.
//
// All types are plain values: safe for concurrent use as long as nobody modifies them.
package snapshot
