package main

import (
	"context"
	"errors"

	"snapswarm/common/dht"
	"snapswarm/common/peer"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

var _ publish.Network = (*network)(nil)

// network is what a publisher needs of the swarm and the DHT. Its fields are set before first use.
type network struct {
	peer    *peer.Peer
	channel snapshot.Channel
	noDHT   bool // DHT_BOOTSTRAP is none
}

// Resolve implements publish.Network.
func (n *network) Resolve(ctx context.Context, ch snapshot.Channel) (pointer.Resolution, error) {
	return n.peer.Resolve(ctx, ch)
}

// Lookup implements publish.Network.
func (n *network) Lookup(ctx context.Context, ch snapshot.Channel) ([]pointer.Record, error) {
	return n.peer.Pointers(ctx, ch)
}

// Announce implements publish.Network.
func (n *network) Announce(ctx context.Context, rec pointer.Record) (publish.Announced, error) {
	// What the peer remembers is only to answer sooner; the publisher's own memory counts.
	_ = n.peer.Accept(n.channel, rec)
	got, err := n.peer.PutPointer(ctx, rec)
	return publish.Announced{Stored: got.Stored, ReadBack: got.ReadBack}, n.expected(err)
}

// Refresh implements publish.Network.
func (n *network) Refresh(ctx context.Context, rec pointer.Record) error {
	_, err := n.peer.Reput(ctx, rec)
	return n.expected(err)
}

// expected replaces the complaint that no DHT node answers where the operator wants none: others may join this one, but
// do not have to.
func (n *network) expected(err error) error {
	if n.noDHT && errors.Is(err, dht.ErrNoNodes) {
		return publish.ErrNoDHT
	}
	return err
}

// Seed implements publish.Network.
func (n *network) Seed(ctx context.Context, t *snapshot.Torrent) error {
	_, err := n.peer.Adopt(ctx, n.channel, t.Description.Version, t)
	return err
}

// Drop implements publish.Network.
func (n *network) Drop(ctx context.Context, v snapshot.Version) error {
	for _, h := range n.peer.Holdings(n.channel.Salt) {
		if h.Version == v {
			return n.peer.Discard(ctx, h)
		}
	}
	return nil
}
