// Package dht is a node of the mainline DHT (BEP 5) that finds, keeps and publishes pointers
// (BEP 44), and through which the torrent client finds peers.
//
// It stands on github.com/anacrolix/dht/v2, from which it takes the encoding of messages, the
// transactions and the routing table that torrents announce through. The rest is its own, for
// reasons that were met, not feared (files of dht v2.23):
//
//   - One packet kills a process: an address of one byte in "ip" or "values" (krpc/nodeaddr.go,
//     UnmarshalBinary), or an announce_peer without arguments (server.go, handleQuery). A wall
//     before the library drops what is not well-formed.
//   - exts/getput dereferences a missing seq, reports success when every node refused, and takes
//     the own store as evidence; cas poisons items (bep44/item.go). Lookups and puts are written
//     here; a put is read back from other nodes and never uses cas.
//   - Replies to get and find_node list nodes near zero instead of near the target (server.go,
//     setReturnNodes), and among those the library skips buckets and does not sort, so that small
//     networks stay a star around their bootstrap node. Queries are answered here.
//   - Stores of items and peers without limits, and a store that does not know who puts. Both are
//     bounded here, and puts are limited per address.
//   - The routing table is not kept, and nothing is ever checked before it is passed on. Only nodes
//     that answered are passed on or saved.
//
// Only IPv4 is spoken. A node is either public or private, never both: a private one speaks with
// loopback and private addresses only, a public one with neither, whatever others tell it.
package dht
