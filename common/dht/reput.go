package dht

import (
	"context"
	"fmt"

	"snapswarm/common/pointer"
)

// holdersWanted is how many of the closest nodes should hold a record; while fewer do, it is put
// again.
const holdersWanted = 6

// ReputResult tells what a re-put found and did.
type ReputResult struct {
	// Closest is how many nodes are responsible, at most 8, and Holding how many of them held the
	// record before.
	Closest, Holding int
	// Put is true when it was put again, and Stored how many nodes took it.
	Put    bool
	Stored int
	// Newest is the highest sequence number seen in the network, 0 when there was none.
	Newest int64
}

// Reput keeps rec alive: it looks which 8 nodes closest to the record's target answer, and puts rec to
// them only while fewer than 6 (in a smaller network: than all) hold it. Anyone may do so, since the
// signature is the publisher's; callers that do it regularly add jitter, so that a swarm does not do
// it at once.
//
// Errors are those of [Node.Put] except ErrNotReadBack. [ErrNewer] is good news to a follower: look
// the pointer up.
func (n *Node) Reput(ctx context.Context, rec pointer.Record) (ReputResult, error) {
	res, err := n.reput(ctx, rec)
	n.metrics.reput(ctx, res, err)
	if err != nil {
		return res, fmt.Errorf("re-put pointer into the DHT: %w", err)
	}
	return res, nil
}

func (n *Node) reput(ctx context.Context, rec pointer.Record) (ReputResult, error) {
	f, err := n.before(ctx, rec)
	res := ReputResult{Closest: len(f.closest), Holding: f.holding(rec), Newest: f.newest()}
	if err != nil {
		return res, err
	}
	_ = n.items.put(itemOf(rec), nil) // who asks us finds it, whatever happens to the others
	if res.Holding >= min(holdersWanted, res.Closest) {
		return res, nil
	}
	res.Put = true
	stored, err := n.store(ctx, f, rec)
	res.Stored, res.Newest = stored.Stored, stored.Newest
	return res, err
}
