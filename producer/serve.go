package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"snapswarm/common/bucket"
	"snapswarm/common/daemon"
	"snapswarm/producer/publish"
)

func serveCommand() *cobra.Command {
	var cfg ServeConfig
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Publish on a schedule or on change, share with peers, keep the pointer alive.",
		RunE:  func(cmd *cobra.Command, _ []string) error { return runServe(cmd.Context(), cfg) },
	}
	daemon.AddSettings(cmd, &cfg)
	return cmd
}

func runServe(ctx context.Context, cfg ServeConfig) (err error) {
	secrets := private(cfg.ChannelConfig, cfg.BucketConfig, cfg.DataDir)
	if cfg.SnapshotSource != "" {
		if err := publish.CheckPrivate(ctx, cfg.SnapshotSource, secrets); err != nil {
			return coded(err)
		}
	}
	s, err := begin(ctx, plan{
		ChannelConfig: cfg.ChannelConfig, BucketConfig: cfg.BucketConfig, SnapshotConfig: cfg.SnapshotConfig,
		NetworkConfig: cfg.NetworkConfig, Care: cfg.Care, Process: cfg.Process,
		retain: time.Duration(cfg.Retention-1) * cfg.PublishEvery,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.checkBucket(ctx); err != nil {
		return coded(err)
	}
	desk := s.openDesk(ctx)
	health := &s.watched.Health
	health.Ready("lease", func(context.Context) (string, error) { return s.publisher.LeaseHealth() })
	health.Ready("pointer", func(context.Context) (string, error) { return s.publisher.Health() })
	health.Ready("publication", func(context.Context) (string, error) { return s.publisher.WatchHealth() })
	if s.ops, err = s.watched.Listen(ctx, cfg.MetricsAddr); err != nil {
		return err
	}
	s.log.InfoContext(ctx, "serving", "channel", s.channel.String(), "port", s.peer.Port(), "versions", len(s.peer.Holdings(s.channel.Salt)))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.ops.Run(ctx) })
	g.Go(func() error { return s.peer.Run(ctx) })
	g.Go(func() error { return s.publisher.KeepAlive(ctx) })
	if desk != nil {
		office := &office{session: s, terms: termsOf(&cfg.BucketConfig, &cfg.SnapshotConfig), private: secrets}
		g.Go(func() error { return desk.Run(ctx, office.work) })
	}
	schedule := publish.Schedule{
		Source: cfg.SnapshotSource, Command: cfg.SnapshotCommand, Every: cfg.PublishEvery, Poll: cfg.PollInterval,
		Private: secrets,
	}
	g.Go(func() error { return s.publisher.Watch(ctx, schedule) })
	return daemon.Graceful(ctx, g.Wait())
}

// checkBucket finds wrong credentials, and another producer of the channel, before a daemon starts. A bucket that is away is
// no reason to end: what is on this disk can be shared meanwhile.
func (s *session) checkBucket(ctx context.Context) error {
	err := s.publisher.CheckStore(ctx)
	if err == nil {
		err = s.publisher.Hold(ctx)
	}
	if errors.Is(err, bucket.ErrUnreachable) {
		s.log.WarnContext(ctx, "the bucket is away; what is on this disk is shared meanwhile", "error", err)
		return nil
	}
	return err
}
