// Package bucket stores what a publisher makes public and reads it back the way everybody else does.
//
// The writing side is a [Store]: an S3-compatible bucket or a directory behind a web server, opened by [Open]. The
// reading side is a [Reader]: plain HTTP GET and HEAD against the public address of such a bucket, or against a gateway,
// which has the same path space. The names of all objects are made in layout.go and nowhere else.
//
// # Uploads
//
// Objects above 16 MiB go up in parts: sections of the local file, read where they lie, several at once, each with its
// SHA-256 in the signed headers, so that the server refuses a part that was damaged on the way. Nothing is buffered: an
// upload needs the same few hundred KiB of memory whatever its size. The cut into parts depends on the size alone: the next
// Put of an object whose upload was interrupted asks the server for the parts that it has, hashes those sections of the
// file once, and sends only the others. The server's SHA-256 decides; where it tells none, its ETag, if that is an MD5.
// Nothing but the server's own lists is relied on, so that any process can continue what any other began. What the lists
// hide (a server without them, or without the right to them) is sent again.
//
// # Addresses of others
//
// A pointer names the address of its bucket, and whoever signed it may be anyone. [NewHTTPClient] therefore connects
// only to public addresses, checked after name resolution at the moment of the connect, follows no redirect to another
// host, and uses no proxy, unless the operator configured that very origin or allowed private addresses altogether.
//
// # Time
//
// No transfer has an absolute time limit. What makes no progress for a while is cut off and, in a [Store], tried again.
package bucket
