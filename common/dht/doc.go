// Package dht is a node of the mainline DHT (BEP 5) that finds, keeps and publishes pointers
// (BEP 44), and through which the torrent client finds peers.
//
// It is a node of its own, down to the packet, for reasons that were met, not feared. In
// github.com/anacrolix/dht/v2 (v2.23), which the torrent client would use by itself:
//
//   - One packet kills a process: an address of one byte in "ip" or "values" (krpc/nodeaddr.go,
//     UnmarshalBinary), an announce_peer without arguments (server.go, handleQuery), or a get reply
//     without seq (exts/getput).
//   - Queries are numbered one after another, so that anybody can answer for another node.
//   - A put reports success when every node refused, takes the own store as evidence, and cas
//     poisons items (bep44/item.go).
//   - Replies to get and find_node list nodes near zero instead of near the target (server.go,
//     setReturnNodes).
//   - Items and peers are stored without limits, and the routing table is not kept.
//   - A dead node costs seconds each time, and nothing can be ended before it has run out.
//
// Only IPv4 is spoken. A node is either public or private, never both: a private one speaks with
// loopback and private addresses only, a public one with neither, whatever others tell it.
package dht
