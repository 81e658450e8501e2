package main

import (
	"encoding/binary"
	"math/rand/v2"
)

// The layout of the test data: a table of blocks as Nano's ledger has it in LMDB. Blocks are found by their hash, so that
// neighbours have nothing to do with each other, and pages are about 70 % full, as random inserts leave a B+ tree.
const (
	pageSize        = 4096
	pageHead        = 16
	nodeHead        = 8
	blockSize       = 32 + 266 // its hash, and what is stored under it
	nodeSize        = nodeHead + blockSize
	nodesPerPage    = (pageSize - pageHead) / (nodeSize + 2)
	representatives = 150
)

// ledger is what a node's database is like: mostly hashes, keys and signatures that nobody can compress, between numbers,
// repeated representatives and empty space. About two thirds remain of it.
func ledger() filler {
	g := &ledgerWriter{source: rand.NewChaCha8([32]byte{2})}
	g.random = rand.New(g.source)
	_, _ = g.source.Read(g.pool[:]) // never fails
	return func(block []byte) {
		for at := 0; at+pageSize <= len(block); at += pageSize {
			g.page(block[at : at+pageSize])
		}
	}
}

type ledgerWriter struct {
	source *rand.ChaCha8
	random *rand.Rand
	pool   [32 * representatives]byte
	pages  uint64
}

// page writes a leaf: a header, offsets that grow upwards, nodes that grow downwards, and a gap between them. After a page was
// split its gap still holds what has moved away; a page that was made for the other half of a split has an empty one.
func (g *ledgerWriter) page(p []byte) {
	clear(p)
	filled := nodesPerPage/2 + g.random.IntN(nodesPerPage/2+2)
	written := filled
	if g.random.IntN(2) == 0 {
		written = nodesPerPage
	}
	for i := range written {
		g.node(p[pageSize-(i+1)*nodeSize:][:nodeSize])
	}
	g.pages++
	le := binary.LittleEndian
	le.PutUint64(p, g.pages)
	le.PutUint16(p[10:], 2) // a leaf
	le.PutUint16(p[12:], uint16(pageHead+2*filled))
	le.PutUint16(p[14:], uint16(pageSize-filled*nodeSize))
	for i := range filled { // in the order of the keys, which is not that of insertion
		le.PutUint16(p[pageHead+2*i:], uint16(pageSize-(i*5%filled+1)*nodeSize))
	}
}

// node writes a state block: hash, type, account, previous, representative, balance, link, signature, work, successor, height,
// time, details.
func (g *ledgerWriter) node(p []byte) {
	_, _ = g.source.Read(p) // never fails
	binary.LittleEndian.PutUint64(p, 266|32<<48)
	v := p[nodeHead+32:]
	v[0] = 6                                                                                                   // a state block
	few := min(g.random.IntN(representatives), g.random.IntN(representatives), g.random.IntN(representatives)) // some are popular
	copy(v[65:97], g.pool[32*few:])
	clear(v[97 : 97+4+g.random.IntN(4)]) // balances are far below 2^128
	v[209], v[210] = 0xff, 0xff          // work is above a threshold
	binary.BigEndian.PutUint64(v[249:], uint64(g.random.IntN(5000)))
	binary.BigEndian.PutUint64(v[257:], 1_600_000_000+uint64(g.random.IntN(1<<27)))
	v[265] = byte(g.random.IntN(3))
}
