package swarm

import (
	"context"
	"fmt"

	"snapswarm/common/snapshot"
)

// Metadata asks peers for the info dictionary of o.InfoHash (BEP 9), checks it against o.InfoSHA256 and keeps nothing: the
// caller decides where the snapshot goes before it adds it. It returns when peers have sent it or ctx ends. Until then the
// info-hash cannot be added. Errors: [ErrAdded], [ErrWrongInfo], [ErrClosed], or ctx's.
func (c *Client) Metadata(ctx context.Context, o AddOptions) (*snapshot.Torrent, error) {
	if err := c.reserve(o.InfoHash); err != nil {
		return nil, fmt.Errorf("metadata of %v: %w", o.InfoHash, err)
	}
	defer c.unreserve(o.InfoHash)
	handle, find, err := c.join(AddOptions{InfoHash: o.InfoHash, Peers: o.Peers})
	if err != nil {
		return nil, fmt.Errorf("metadata of %v: %w", o.InfoHash, err)
	}
	defer handle.Drop()
	defer find.stop()
	t, err := awaitInfo(ctx, handle, o)
	if err != nil {
		return nil, fmt.Errorf("metadata of %v: %w", o.InfoHash, err)
	}
	return t, nil
}

// unreserve lets others add the info-hash again.
func (c *Client) unreserve(ih snapshot.InfoHash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.adding, ih)
}
