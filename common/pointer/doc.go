// Package pointer is the signed record that says which snapshot of a channel is newest.
//
// A record is a BEP 44 mutable item, the same bytes whether it came from the DHT, a bucket, a
// gateway or a mirror: trust comes from the signature, never from where it was found. [Sign] makes
// one, [ParseRecord] and [Record.Verify] check one, a [Ratchet] remembers on disk the newest one that
// was accepted, so that nobody can lead a reader back to an older snapshot, and a [Resolver] asks all
// sources at once. The format is public and described in FORMAT.md beside the code.
package pointer
