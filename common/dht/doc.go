// Package dht is a node of the mainline DHT (BEP 5) that finds, keeps and publishes pointers
// (BEP 44), and through which the torrent client finds peers.
//
// # Whom it trusts
//
// Nobody. Any host can send any bytes from any address, be a node as often as it likes, and choose
// where in the DHT to be. What protects a pointer is its signature; what this package adds is that
// nobody can make the node crash, grow or wait, and that a liar needs the right places to hide a
// pointer, and can hide it no longer than until the next honest node answers.
//
// What others say, and how far it is believed:
//
//   - Any packet: [maxPacket] bytes and 16 levels at most, of the shape of a message, from an address
//     that the node may speak with; all else is dropped and counted. Every field is optional until it
//     was looked at. The parsers are fuzzed from the packet to the reply.
//   - An answer: only from the address that was asked, with the number of the query, which nobody
//     else can guess, and once.
//   - A record: only with a valid signature of the channel's key. Of several the newest are kept, at
//     most eight. One with a wrong signature is counted and handed on only where there is no other.
//     A number ahead of the clock is for the resolver of package pointer to refuse.
//   - Other nodes: at most 16 of each reply are asked, at most 256 in a lookup, in a public DHT one of
//     each host. None enters the table, is passed on or saved before it has answered itself; those
//     on disk are asked before they are used, too. A node that says that it is read-only (BEP 43) is
//     left alone.
//   - Who holds what: a node is a holder only while it returns the very record. The node's own store
//     is no evidence. A put is read back from the network, and never uses cas, which poisons items.
//   - Our address: what eight /16 networks agree on; it binds the ID of the next run (BEP 42).
//
// What others may take: queries, puts and announcements are limited per source; items, torrents,
// peers and everything that is remembered are bounded; who writes needs a token, that is, can receive
// at its address. A full store forgets what was put least recently, so that a flood from many
// addresses can drive out records here; their publisher and every mirror put them again, see
// [Node.Reput].
//
// What is not prevented: who owns the eight places closest to a target withholds its pointer or shows
// an old one. Readers have the bucket beside the DHT, never go back behind what they have accepted,
// and pointers expire.
//
// # Dead nodes
//
// A third of the nodes known in the public DHT do not answer. A lookup sends every query twice, asks
// somebody else after a twelfth of [Config.QueryTimeout], ends after a third without those that are
// late, and remembers who was silent, see traverse.go. Close waits for nobody.
//
// # Read-only nodes
//
// [Config.ReadOnly] is for programs that end in a moment. A node that is not reached behind its NAT
// does not find that out by itself: it could not tell that from a quiet network, and small networks
// would lose their nodes by a wrong guess; and it harms little, because nodes are passed on only by
// those who reached them.
//
// # Why not the library
//
// github.com/anacrolix/dht/v2 (v2.23), which the torrent client would use by itself, is met in tests
// as another implementation. As a node it was given up for what happened:
//
//   - One packet kills the process: an address of one byte in "ip" or "values" (krpc/nodeaddr.go,
//     UnmarshalBinary), an announce_peer without arguments (server.go, handleQuery), a get reply
//     without seq (exts/getput).
//   - Queries are numbered one after another, so that anybody can answer for another node.
//   - A put reports success when every node refused, and takes the own store as evidence.
//   - Replies to get and find_node list nodes near zero instead of near the target (server.go,
//     setReturnNodes), so that small networks stay a star around their bootstrap node.
//   - Items and peers are stored without limits, the routing table is not kept, and its maintainer
//     cannot be ended before its queries to dead nodes have run out.
//
// Only IPv4 is spoken. A node is either public or private, never both: a private one speaks with
// loopback and private addresses only, a public one with neither, whatever others tell it.
package dht
