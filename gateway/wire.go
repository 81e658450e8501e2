package main

import (
	"context"
	"fmt"

	"snapswarm/common/durable"
	"snapswarm/common/peer"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
	"snapswarm/gateway/catalog"
	"snapswarm/gateway/serve"
)

var (
	_ serve.Library = library{}
	_ catalog.Peer  = swarmPeer{}
	_ catalog.Data  = pieces{}
)

// library is the catalog as package serve wants it. The two do not know of each other.
type library struct{ *catalog.Catalog }

// Open implements serve.Library.
func (l library) Open(salt string, v snapshot.Version) (serve.Snapshot, bool) {
	data, ok := l.Catalog.Open(salt, v)
	if !ok {
		return nil, false // not a nil Data in a Snapshot that is not nil
	}
	return data, true
}

// swarmPeer is a peer as package catalog wants it.
type swarmPeer struct{ *peer.Peer }

// Resolve implements catalog.Peer.
func (p swarmPeer) Resolve(ctx context.Context, ch snapshot.Channel) error {
	_, err := p.Peer.Resolve(ctx, ch)
	return err
}

// Open implements catalog.Peer.
func (p swarmPeer) Open(ctx context.Context, ch snapshot.Channel, rec pointer.Record) error {
	_, err := p.OpenIf(ctx, ch, rec, func(t *snapshot.Torrent) error { return room(durable.FreeSpace, p.DataDir(), t) })
	return err
}

// Holdings implements catalog.Peer.
func (p swarmPeer) Holdings(salt string) []catalog.Holding {
	held := p.Peer.Holdings(salt)
	holdings := make([]catalog.Holding, len(held))
	for i, h := range held {
		holdings[i] = catalog.Holding{Version: h.Version, Torrent: h.Torrent, Data: pieces{h.Snapshot}}
	}
	return holdings
}

// Discard implements catalog.Peer.
func (p swarmPeer) Discard(ctx context.Context, salt string, v snapshot.Version) error {
	for _, h := range p.Peer.Holdings(salt) {
		if h.Version == v {
			return p.Peer.Discard(ctx, h)
		}
	}
	return fmt.Errorf("discard %s %s: not held", salt, v)
}

// Reput implements catalog.Peer.
func (p swarmPeer) Reput(ctx context.Context, rec pointer.Record) error {
	_, err := p.Peer.Reput(ctx, rec)
	return err
}

// pieces is a snapshot in the swarm as catalog and serve want it.
type pieces struct{ *swarm.Snapshot }

// Want implements catalog.Data.
func (p pieces) Want(first, last int) (release func()) {
	return p.Snapshot.Want(first, last, swarm.Soon)
}

// Received implements catalog.Data.
func (p pieces) Received() int64 {
	s := p.Stats()
	return s.ReceivedPeers + s.ReceivedOrigin
}
