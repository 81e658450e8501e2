package swarm

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/anacrolix/generics"
	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
	infohash_v2 "github.com/anacrolix/torrent/types/infohash-v2"

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
	// InfoHash asks peers for the metadata (BEP 9): a v1 info-hash, or the first 20 bytes of a v2 info-hash.
	InfoHash snapshot.InfoHash
	// InfoHashV2 is the whole v2 info-hash (BEP 52) where it is known, beside InfoHash. Peers that know the torrent by it alone are
	// found as well, and those that support v2 are asked for the hashes that are not part of the metadata.
	InfoHashV2 *[32]byte
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

// infoHashes are the v1 and the v2 info-hash as the library wants them: none where there is none.
func (o *AddOptions) infoHashes() (v1 metainfo.Hash, v2 generics.Option[infohash_v2.T]) {
	v1 = metainfo.Hash(o.infoHash())
	full := o.InfoHashV2
	if t := o.Torrent; t != nil {
		full = nil
		if t.HasV2() {
			full = &t.InfoSHA256
		}
	}
	if full != nil {
		v2.Set(*full)
		if v1 == *v2.Value.ToShort() { // which is no v1 info-hash
			v1 = metainfo.Hash{}
		}
	}
	return v1, v2
}

// Add begins to fetch and seed a snapshot. With an info-hash alone it returns when peers have sent the metadata, or when ctx ends.
// What lies at Dir already is used: pieces that the record beside the file vouches for are served at once, other bytes
// are hashed first. Errors: [ErrAdded], [ErrWrongInfo], [ErrClosed], [ErrDiskFull] and [ErrDisk].
func (c *Client) Add(ctx context.Context, o AddOptions) (*Snapshot, error) {
	if o.Torrent == nil {
		t, err := c.Metadata(ctx, o)
		if err != nil {
			return nil, err
		}
		o.Torrent = t
	}
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
		Storage: noStorage{},
		// The info is looked at before anything touches the disk, and pieces are hashed by us.
		DeferStorageOpen:         true,
		DisableInitialPieceCheck: true,
	}
	opts.InfoHash, opts.InfoHashV2 = o.infoHashes()
	if o.Torrent != nil {
		opts.InfoBytes, opts.PieceLayers = o.Torrent.Info, o.Torrent.PieceLayers()
	}
	handle, fresh := c.library.AddTorrentOpt(opts)
	if !fresh {
		return nil, nil, ErrAdded
	}
	if len(c.config.Trackers) > 0 {
		handle.AddTrackers([][]string{c.config.Trackers})
	}
	find := newDiscovery(c, handle, o.Peers, c.dir(o))
	find.start()
	return handle, find, nil
}

func (c *Client) addHandle(ctx context.Context, o AddOptions, handle *torrent.Torrent, find *discovery) (*Snapshot, error) {
	t := o.Torrent
	switch {
	case handle.Info() == nil:
		return nil, fmt.Errorf("%w: the torrent library refuses it", snapshot.ErrBadTorrent)
	case !t.Verifiable():
		return nil, fmt.Errorf("%w: it has no v1 hashes, and its piece layers are missing", snapshot.ErrBadTorrent)
	}
	file, err := openPieceFile(t, c.dir(o), c.config.tuning.open, o.Have)
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

// dir is the folder of the file; "" for metadata alone, of which nothing is kept.
func (c *Client) dir(o AddOptions) string {
	if filepath.IsAbs(o.Dir) || o.Torrent == nil {
		return o.Dir
	}
	return filepath.Join(c.config.DataDir, o.Dir)
}
