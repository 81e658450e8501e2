package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"snapswarm/common/archive"
	"snapswarm/common/bucket"
	"snapswarm/common/daemon"
	"snapswarm/common/durable"
	"snapswarm/common/peer"
	"snapswarm/common/snapshot"
	"snapswarm/common/telemetry"
	"snapswarm/producer/handover"
	"snapswarm/producer/publish"
)

// session is a process that publishes: what publish and serve have in common.
type session struct {
	log       *slog.Logger
	progress  *daemon.Progress
	watched   *telemetry.Telemetry
	ops       *daemon.Ops // nil unless it serves
	publisher *publish.Publisher
	channel   snapshot.Channel
	peer      *peer.Peer
}

// plan is what a session is made of.
type plan struct {
	ChannelConfig
	BucketConfig
	SnapshotConfig
	NetworkConfig
	peer.Care
	daemon.Process
	retain time.Duration
}

// begin opens everything, the cheapest and most likely to fail first: the key, the lock of the channel, the bucket, the
// network. The caller closes the session.
func begin(ctx context.Context, p plan) (s *session, err error) {
	terminal := daemon.NewTerminal(os.Stderr)
	watched, err := telemetry.Start(ctx, "producer", terminal, p.Process)
	if err != nil {
		return nil, err
	}
	watched.Log = slog.New(handover.Tap(watched.Log.Handler()))
	s = &session{log: watched.Log, progress: daemon.NewProgress(terminal, watched.Log), watched: watched}
	if err := s.open(ctx, p); err != nil {
		return nil, errors.Join(coded(err), s.close(ctx))
	}
	return s, nil
}

func (s *session) open(ctx context.Context, p plan) error {
	cfg, err := p.publisher(ctx, s)
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(cfg.DataDir, 0o755); err != nil {
		return daemon.WithCode(daemon.ExitDisk, fmt.Errorf("DATA_DIR: %w", err))
	}
	network := &network{}
	cfg.Network = network
	if s.publisher, err = publish.New(cfg); err != nil {
		return err
	}
	s.channel = s.publisher.Channel()
	settings := peer.Settings{Common: daemon.Common{Network: p.Network, Process: p.Process}, Courtesy: p.Courtesy, Care: p.Care}
	if cfg.Public != nil { // an answer from there makes the DHT's silence short
		settings.BucketURL = daemon.List{cfg.Public.String()}
	}
	if s.peer, err = peer.Join(ctx, settings, []snapshot.Channel{s.channel}, s.log); err != nil {
		return err
	}
	network.peer, network.channel = s.peer, s.channel
	network.noDHT = p.DHTBootstrap != nil && len(p.DHTBootstrap) == 0
	return nil
}

// publisher turns the settings into those of package publish.
func (p plan) publisher(ctx context.Context, s *session) (publish.Config, error) {
	key, err := parseKey(p.AuthorityKey)
	if err != nil {
		return publish.Config{}, err
	}
	ch, err := p.channel(key)
	if err != nil {
		return publish.Config{}, err
	}
	dir, err := filepath.Abs(p.DataDir)
	if err != nil {
		return publish.Config{}, fmt.Errorf("DATA_DIR: %w", err)
	}
	store, err := p.openBucket(s.log)
	if err != nil {
		return publish.Config{}, err
	}
	cfg := publish.Config{
		Key: key, Salt: ch.Salt, DataDir: dir, Store: store,
		Name: p.Name, PieceLength: int64(p.PieceLength), Hybrid: p.TorrentFormat == "hybrid", TTL: p.PointerTTL, ProbeFor: p.ProbeTimeout, Keep: p.Retention, Retain: p.retain, Log: s.log,
		Progress: func(ctx context.Context, label string, total int64) publish.Task {
			return handover.Follow(ctx, s.progress.Start(label, total), label, total)
		},
	}
	if p.Compression == "none" {
		cfg.PassThrough = true
	} else {
		cfg.Level = archive.Level(p.Compression)
	}
	public, err := p.openPublic(ctx, s.log, p.AllowPrivate)
	if public != nil {
		cfg.Public = public // a nil *Reader must not become a Public that is not nil
	}
	return cfg, err
}

func (c *BucketConfig) openBucket(log *slog.Logger) (bucket.Store, error) {
	cfg := c.store()
	cfg.Log = log
	store, err := bucket.Open(cfg)
	if err != nil {
		return nil, codedOpen(fmt.Errorf("BUCKET: %w", err))
	}
	return store, nil
}

// openPublic is how everybody else reads the bucket, nil when nobody was told an address.
func (c *BucketConfig) openPublic(ctx context.Context, log *slog.Logger, allowPrivate bool) (*bucket.Reader, error) {
	base := c.PublicURL
	if base == "" {
		var err error
		if base, err = bucket.PublicURL(c.store()); err != nil { // a directory has none
			log.WarnContext(ctx, "PUBLIC_URL is not set: the bucket is no webseed, and only peers can serve the snapshots", "bucket", c.Bucket)
			return nil, nil //nolint:nilerr // it is no error to have none
		}
		log.InfoContext(ctx, "PUBLIC_URL is not set, the bucket's own address is used", "public_url", base)
	}
	client, err := bucket.NewHTTPClient(bucket.Policy{Origins: []string{base}, AllowPrivate: allowPrivate})
	if err != nil {
		return nil, daemon.Usagef("PUBLIC_URL: %w", err)
	}
	reader, err := bucket.NewReader(base, client)
	if err != nil {
		return nil, daemon.Usagef("PUBLIC_URL: %w", err)
	}
	return reader, nil
}

// close leaves the swarm, gives back the channel and sends the last of the telemetry.
func (s *session) close(ctx context.Context) error {
	var errs []error
	s.progress.Close()
	if s.peer != nil {
		errs = append(errs, s.peer.Close())
	}
	if s.publisher != nil {
		errs = append(errs, s.publisher.Close())
	}
	if s.ops != nil {
		errs = append(errs, s.ops.Close())
	}
	s.watched.Close(ctx)
	return errors.Join(errs...)
}

// anyPort keeps the host of a listen address and leaves the port to the system, for processes that are gone before
// anybody could come back to them.
func anyPort(a daemon.Addr) daemon.Addr {
	host, _, err := net.SplitHostPort(string(a))
	if err != nil {
		return a
	}
	return daemon.Addr(net.JoinHostPort(host, "0"))
}
