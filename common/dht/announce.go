package dht

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
)

// Announce looks for the peers of a torrent (BEP 5) and tells the nodes closest to hash that there
// is one on port at this node's address; port 0 means that of the node's own socket, as others see
// it. It hands to found what each node knows, one call at a time, and returns when all is done.
// Addresses come from strangers: found may be told anything.
//
// Errors are [ErrNoNodes], [ErrNotTaken], [ErrClosed] and ctx's.
func (n *Node) Announce(ctx context.Context, hash [20]byte, port uint16, found func([]netip.AddrPort)) error {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	target := id(hash)
	closest, err := n.walk(ctx, target, "get_peers", arguments{InfoHash: string(hash[:])}, hasToken, func(r reached) {
		if peers := r.reply.peers(); len(peers) > 0 {
			found(peers)
		}
	})
	if err != nil {
		return fmt.Errorf("announce to the DHT: %w", err)
	}
	if len(closest) == 0 {
		return fmt.Errorf("announce to the DHT: %w: no node gives a token", ErrNotTaken)
	}
	return n.announceTo(ctx, closest, hash, port)
}

// announceTo tells the nodes, of which one has to take it.
func (n *Node) announceTo(ctx context.Context, nodes []reached, hash [20]byte, port uint16) error {
	args := arguments{InfoHash: string(hash[:]), Port: int(port)}
	if port == 0 {
		args.ImpliedPort = 1
		args.Port = int(n.Addr().Port()) // for those who do not know implied_port
	}
	errs := make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, node := range nodes {
		wg.Go(func() {
			args := args
			args.Token = node.reply.Token // hasToken let it pass
			_, errs[i] = n.ask(ctx, node.contact, "announce_peer", args)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err == nil {
			return nil
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("announce to the DHT: %w", context.Cause(ctx))
	}
	return fmt.Errorf("announce to the DHT: %w: the last said: %w", ErrNotTaken, errs[len(errs)-1])
}

// ErrNotTaken means that no other node took an announcement.
var ErrNotTaken = errors.New("no DHT node took the announcement")
