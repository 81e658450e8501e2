package swarm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"

	"snapswarm/common/snapshot"
)

var (
	// ErrWrongInfo means that peers' metadata matches the info-hash but is not what was asked for or not a usable snapshot.
	ErrWrongInfo = errors.New("metadata from peers is not the one asked for")
	// ErrAdded means that the snapshot is in the client already.
	ErrAdded = errors.New("snapshot was added already")
)

// AddOptions says what to add. Either Torrent or InfoHash is set.
type AddOptions struct {
	// Torrent is the whole description. Its Origins are not used; see Origins below.
	Torrent *snapshot.Torrent
	// InfoHash asks peers for the metadata (BEP 9).
	InfoHash snapshot.InfoHash
	// InfoSHA256 is what the metadata's SHA-256 must be, because SHA-1 alone is not trusted; nil if unknown.
	InfoSHA256 *[32]byte
	// Dir is the folder of the file; it is created. The file has the torrent's name in it.
	Dir string
	// Origins are complete URLs of the file.
	Origins []string
	// Peers, host:port each, are connected to like seed peers, for this snapshot.
	Peers []string
	// Have says that the caller has written and hashed the whole file just now: nothing is hashed again. A file of another size
	// is an error.
	Have bool
	// Background fetches everything. Without it, only what is waited for or wanted; see [Snapshot.Start].
	Background bool
}

func (o *AddOptions) infoHash() snapshot.InfoHash {
	if o.Torrent != nil {
		return o.Torrent.InfoHash
	}
	return o.InfoHash
}

// Add begins to fetch and seed a snapshot. With an info-hash alone it returns when peers have sent the metadata, or when ctx ends.
// What lies at Dir already is used: pieces that the record beside the file vouches for are served at once, other bytes
// are hashed first. Errors: [ErrAdded], [ErrWrongInfo], [ErrClosed], [ErrDiskFull] and [ErrDisk].
func (c *Client) Add(ctx context.Context, o AddOptions) (*Snapshot, error) {
	ih := o.infoHash()
	if err := c.reserve(ih); err != nil {
		return nil, fmt.Errorf("add snapshot %v: %w", ih, err)
	}
	s, err := c.add(ctx, o)
	c.mu.Lock()
	delete(c.adding, ih)
	closed := c.closed
	if err == nil && !closed {
		c.snapshots[ih] = s
	}
	c.mu.Unlock()
	if err == nil && closed {
		err = errors.Join(ErrClosed, s.close())
	}
	if err != nil {
		return nil, fmt.Errorf("add snapshot %v: %w", ih, err)
	}
	return s, nil
}

// reserve makes sure that nobody else adds the same info-hash.
func (c *Client) reserve(ih snapshot.InfoHash) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, adding := c.adding[ih]
	_, added := c.snapshots[ih]
	switch {
	case c.closed:
		return ErrClosed
	case ih.IsZero():
		return errors.New("no torrent and no info-hash given")
	case adding || added:
		return ErrAdded
	}
	c.adding[ih] = struct{}{}
	return nil
}

func (c *Client) add(ctx context.Context, o AddOptions) (*Snapshot, error) {
	handle, find, err := c.join(o)
	if err != nil {
		return nil, err
	}
	s, err := c.addHandle(ctx, o, handle, find)
	if err != nil {
		find.stop()
		handle.Drop()
		return nil, err
	}
	return s, nil
}

// join adds the torrent to the library and begins to look for peers. Nothing is stored before the library is given a storage.
func (c *Client) join(o AddOptions) (*torrent.Torrent, *discovery, error) {
	opts := torrent.AddTorrentOpts{
		InfoHash: metainfo.Hash(o.infoHash()),
		Storage:  noStorage{},
		// The info is looked at before anything touches the disk, and pieces are hashed by us.
		DeferStorageOpen:         true,
		DisableInitialPieceCheck: true,
	}
	if o.Torrent != nil {
		opts.InfoBytes = o.Torrent.Info
	}
	handle, fresh := c.library.AddTorrentOpt(opts)
	if !fresh {
		return nil, nil, ErrAdded
	}
	if len(c.config.Trackers) > 0 {
		handle.AddTrackers([][]string{c.config.Trackers})
	}
	find := newDiscovery(c, handle, o.Peers)
	find.start()
	return handle, find, nil
}

func (c *Client) addHandle(ctx context.Context, o AddOptions, handle *torrent.Torrent, find *discovery) (*Snapshot, error) {
	t := o.Torrent
	if t == nil {
		var err error
		if t, err = awaitInfo(ctx, handle, o); err != nil {
			return nil, err
		}
	} else if handle.Info() == nil {
		return nil, fmt.Errorf("%w: the torrent library refuses it", snapshot.ErrBadTorrent)
	}
	dir := o.Dir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(c.config.DataDir, dir)
	}
	file, err := openPieceFile(t, dir, c.config.tuning.open, o.Have)
	if err != nil {
		return nil, err
	}
	s := newSnapshot(c, t, handle, file, find)
	if err := handle.OpenStorage(ctx, newPieceStorage(file)); err != nil {
		return nil, errors.Join(fmt.Errorf("open storage: %w", err), file.data.Close())
	}
	s.start(o)
	return s, nil
}

// awaitInfo gets the metadata from peers and checks it.
//
// BUG: metadata of the right hash that the library itself refuses (piece count and length at odds, for example) is not reported
// by it, so that Add waits until ctx ends instead of returning ErrWrongInfo.
func awaitInfo(ctx context.Context, handle *torrent.Torrent, o AddOptions) (*snapshot.Torrent, error) {
	select {
	case <-handle.GotInfo():
	case <-handle.Closed():
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("metadata from %d peers: %w", handle.Stats().ActivePeers, context.Cause(ctx))
	}
	meta := handle.Metainfo()
	t, err := snapshot.ParseInfo(meta.InfoBytes)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrWrongInfo, err)
	case t.InfoHash != o.InfoHash:
		return nil, fmt.Errorf("%w: its info-hash is %v", ErrWrongInfo, t.InfoHash)
	case o.InfoSHA256 != nil && t.InfoSHA256 != *o.InfoSHA256:
		return nil, fmt.Errorf("%w: the SHA-256 of the info is %x, want %x", ErrWrongInfo, t.InfoSHA256, *o.InfoSHA256)
	}
	return t, nil
}
