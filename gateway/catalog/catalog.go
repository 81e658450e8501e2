package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// Config is what a [Catalog] works with.
type Config struct {
	// Channels in the order of the listing, no two of the same salt.
	Channels []snapshot.Channel
	// PollInterval is how often a newer pointer is looked for.
	PollInterval time.Duration
	Log          *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Catalog is the versions that can be served. Its methods may be called from many goroutines at once.
type Catalog struct {
	cfg      Config
	peer     Peer
	log      *slog.Logger
	channels map[string]*channel // by salt; never changes
}

// channel is one followed channel. Its loop alone writes view and what follows it.
type channel struct {
	snapshot.Channel
	view atomic.Pointer[view]

	staleSeq  int64     // the record whose expiry was reported
	searchErr string    // why the last search for a pointer failed, as it was reported; empty if it did not
	nextReput time.Time // when the DHT is looked after again
}

// view is what is known of a channel at one moment. It is never modified.
type view struct {
	record   pointer.Record
	pointed  bool // there is a record
	latest   snapshot.Version
	holdings []Holding // newest first
	openErr  error     // why the snapshot of the record is not among them; nil if it is, or was not tried yet
}

// New shows what lies on disk. Nothing is asked or fetched before Run.
func New(peer Peer, cfg Config) *Catalog {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Catalog{cfg: cfg, peer: peer, log: cfg.Log, channels: make(map[string]*channel, len(cfg.Channels))}
	for _, ch := range cfg.Channels {
		followed := &channel{Channel: ch}
		followed.view.Store(&view{})
		c.channels[ch.Salt] = followed
		c.refresh(followed)
	}
	return c
}

// Run follows the channels until ctx ends; then it returns nil.
func (c *Catalog) Run(ctx context.Context) error {
	unregister, err := c.observe()
	if err != nil {
		return fmt.Errorf("make instruments: %w", err)
	}
	defer unregister()
	var g errgroup.Group
	for _, ch := range c.channels {
		g.Go(func() error {
			c.follow(ctx, ch)
			return nil
		})
	}
	return g.Wait()
}

// Channels are the channels in the order of the configuration.
func (c *Catalog) Channels() []snapshot.Channel { return c.cfg.Channels }

// Newest is the newest signed record of the channel that was accepted.
func (c *Catalog) Newest(salt string) (pointer.Record, bool) {
	v := c.viewOf(salt)
	return v.record, v.pointed
}

// Latest is the version behind the alias "latest".
func (c *Catalog) Latest(salt string) (snapshot.Version, bool) {
	v := c.viewOf(salt)
	return v.latest, v.latest != ""
}

// Versions are the versions of the channel that can be served, newest first.
func (c *Catalog) Versions(salt string) []snapshot.Version {
	holdings := c.viewOf(salt).holdings
	versions := make([]snapshot.Version, len(holdings))
	for i, h := range holdings {
		versions[i] = h.Version
	}
	return versions
}

// Open returns the data of a version.
func (c *Catalog) Open(salt string, v snapshot.Version) (Data, bool) {
	h, ok := c.viewOf(salt).holding(v)
	return h.Data, ok
}

// Trouble is why a version that the newest pointer names cannot be served at the moment, nil if nothing is known of it. Without its
// torrent, it is recognised by the time and height that publishers name versions after.
func (c *Catalog) Trouble(salt string, version snapshot.Version) error {
	v := c.viewOf(salt)
	p, err := v.record.Pointer()
	if err == nil && snapshot.NewVersion(p.Created, p.Height) == version {
		return v.openErr
	}
	return nil
}

func (c *Catalog) viewOf(salt string) *view {
	if ch, ok := c.channels[salt]; ok {
		return ch.view.Load()
	}
	return &view{}
}

func (v *view) holding(version snapshot.Version) (Holding, bool) {
	i := slices.IndexFunc(v.holdings, func(h Holding) bool { return h.Version == version })
	if i < 0 {
		return Holding{}, false
	}
	return v.holdings[i], true
}

// Ready reports whether the gateway can serve the newest snapshot of at least one channel: its pointer and torrent are known, some
// of its data is here and verified, and the disk takes more: bytes that arrive prove nothing. The detail says how each channel stands. An expired pointer is
// no reason to stop serving.
func (c *Catalog) Ready(context.Context) (detail string, err error) {
	var good, bad []string
	for _, ch := range c.cfg.Channels {
		state, err := c.channels[ch.Salt].state()
		if err != nil {
			bad = append(bad, ch.Salt+": "+err.Error())
		} else {
			good = append(good, ch.Salt+": "+state)
		}
	}
	if len(good) == 0 {
		return "", errors.New(strings.Join(bad, "; "))
	}
	return strings.Join(append(good, bad...), "; "), nil
}

func (ch *channel) state() (string, error) {
	v := ch.view.Load()
	h, ok := v.holding(v.latest)
	switch {
	case !ok && !v.pointed:
		return "", errors.New("no signed pointer has been found yet")
	case !ok && v.openErr != nil:
		return "", fmt.Errorf("the newest snapshot cannot be opened: %w", v.openErr)
	case !ok:
		return "", errors.New("the torrent of the newest snapshot has not been found yet")
	}
	pieces, bytes := h.Data.Completed()
	if err := h.Data.Err(); err != nil && pieces < h.Torrent.NumPieces() {
		return "", fmt.Errorf("version %s, %d %% here, %d bytes missing: %w", h.Version, bytes*100/h.Torrent.Length, h.Torrent.Length-bytes, err)
	}
	if pieces == 0 {
		return "", fmt.Errorf("nothing of version %s is here, and no source has delivered a correct piece so far (%d bytes received)", h.Version, h.Data.Received())
	}
	state := fmt.Sprintf("version %s, %d %% here", h.Version, bytes*100/h.Torrent.Length)
	if v.openErr != nil {
		state += fmt.Sprintf(", because the newest snapshot cannot be opened: %v", v.openErr)
	}
	return state, nil
}
