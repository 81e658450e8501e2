// Package serve is the HTTP face of a gateway: snapshots, their small companions and a listing, read from a [Library].
//
// The paths are those of a bucket, so that the address of a gateway can stand wherever that of a bucket can, and a few more:
//
//	/                                      the channels: HTML, or JSON for those who ask for it
//	/<salt>/                               the versions of a channel, likewise
//	/<salt>/pointer                        the signed record of the newest snapshot, byte for byte
//	/<salt>/<version>/<file>               a snapshot; never changes
//	/<salt>/latest/<file>                  the newest snapshot
//	….torrent, ….magnet, ….sha256          beside each of the two above
//	/torrents/<infohash>.torrent           the torrent of a snapshot that is served here, and of no other
//
// A snapshot is served from the moment its torrent is known. Bytes that are not here yet are waited for piece by piece, and the
// pieces that a reader needs come before all others. Every response is bounded by progress, never by its total time: no first
// byte within [Config.FirstByte] is a 504 that says so; afterwards a transfer that stands still for [Config.Idle] is cut off, so
// that the client sees it fail. Text is never written into the middle of data.
//
// "latest" may move while somebody downloads it. Clients such as curl -C - send no validator when they resume and would join two
// snapshots without a word, so a request to latest that begins beyond the first byte is a 409 unless its If-Range names the
// version that is the newest now. The body says how to go on.
//
// Data reaches the socket by sendfile(2) where the system has it: see [sender]. Do not wrap the http.ResponseWriter that is
// handed to [Handler]: a wrapper without ReadFrom costs a copy of every byte.
package serve
