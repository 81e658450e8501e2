package swarm

import (
	"context"
	"fmt"
	"time"

	"github.com/anacrolix/torrent"

	"snapswarm/common/snapshot"
)

// Metadata asks peers for the info dictionary of o.InfoHash (BEP 9), and for the hashes of a v2 part (BEP 52), checks it against
// o.InfoSHA256 and keeps nothing: the caller decides where the snapshot goes before it adds it. It returns when peers have sent it or
// ctx ends. Until then the info-hash cannot be added. Errors: [ErrAdded], [ErrWrongInfo], [ErrClosed], or ctx's.
func (c *Client) Metadata(ctx context.Context, o AddOptions) (*snapshot.Torrent, error) {
	if err := c.reserve(o.InfoHash); err != nil {
		return nil, fmt.Errorf("metadata of %v: %w", o.InfoHash, err)
	}
	defer c.unreserve(o.InfoHash)
	t, err := c.info(ctx, o)
	if err == nil && t.HasV2() && t.NumPieces() > 1 {
		err = c.layer(ctx, o, t)
	}
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

// info gets the metadata from peers and checks it.
//
// BUG: metadata of the right hash that the library itself refuses (piece count and length at odds, for example) is not reported
// by it, so that Metadata waits until ctx ends instead of returning ErrWrongInfo.
func (c *Client) info(ctx context.Context, o AddOptions) (*snapshot.Torrent, error) {
	handle, find, err := c.join(AddOptions{InfoHash: o.InfoHash, InfoHashV2: o.InfoHashV2, Peers: o.Peers})
	if err != nil {
		return nil, err
	}
	defer handle.Drop()
	defer find.stop()
	if err := awaitInfo(ctx, handle); err != nil {
		return nil, err
	}
	meta := handle.Metainfo()
	t, err := snapshot.ParseInfo(meta.InfoBytes)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrWrongInfo, err)
	case t.InfoHash != o.InfoHash && t.ShortV2() != o.InfoHash:
		return nil, fmt.Errorf("%w: its info-hash is %v", ErrWrongInfo, t.InfoHash)
	case o.InfoSHA256 != nil && t.InfoSHA256 != *o.InfoSHA256:
		return nil, fmt.Errorf("%w: the SHA-256 of the info is %x, want %x", ErrWrongInfo, t.InfoSHA256, *o.InfoSHA256)
	}
	return t, nil
}

func awaitInfo(ctx context.Context, handle *torrent.Torrent) error {
	select {
	case <-handle.GotInfo():
		return nil
	case <-handle.Closed():
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("metadata from %d peers: %w", handle.Stats().ActivePeers, context.Cause(ctx))
	}
}

// layer gets the layer of t's hash tree from peers. The library asks those for it that have every piece and shook hands by the v2
// info-hash, so it must know nothing else: with the metadata, or a v1 info-hash, it would begin by that. Without the layer nothing
// of a torrent that is v2 only can be verified, so it is waited for; a hybrid is verified by SHA-1 alone if it does not come soon.
func (c *Client) layer(ctx context.Context, o AddOptions, t *snapshot.Torrent) error {
	handle, find, err := c.join(AddOptions{InfoHash: t.ShortV2(), InfoHashV2: &t.InfoSHA256, Peers: o.Peers})
	if err != nil {
		return err
	}
	defer handle.Drop()
	defer find.stop()
	limited, cancel := ctx, context.CancelFunc(func() {})
	if t.HasV1() {
		limited, cancel = context.WithTimeout(ctx, c.config.tuning.layer)
	}
	defer cancel()
	layer, err := awaitLayer(limited, handle, t)
	if err == nil {
		return t.SetLayer(layer)
	}
	if t.HasV1() && ctx.Err() == nil {
		c.log.WarnContext(ctx, "no peer gave the v2 hashes of a hybrid torrent: its pieces are verified by SHA-1 alone", "infohash", t.InfoHash)
		return nil
	}
	return err
}

// layerPoll is how often is looked whether a peer has sent the layer.
const layerPoll = 50 * time.Millisecond

func awaitLayer(ctx context.Context, handle *torrent.Torrent, t *snapshot.Torrent) ([]byte, error) {
	poll := time.NewTicker(layerPoll)
	defer poll.Stop()
	for {
		meta := handle.Metainfo()
		if layer, ok := meta.PieceLayers[string(t.Tree.Root[:])]; ok {
			return []byte(layer), nil
		}
		select {
		case <-poll.C:
		case <-handle.Closed():
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, fmt.Errorf("v2 hashes (piece layers) from %d peers: %w", handle.Stats().ActivePeers, context.Cause(ctx))
		}
	}
}
