// Command mirror follows channels: it finds the newest signed pointer, downloads the snapshot from peers and from the
// publisher's bucket, verifies it, and shares it with others for as long as it runs.
//
//	mirror                    keeps the newest version of each channel, seeds, passes the pointer on
//	mirror --once             gets the newest version, prints its path, ends
//	mirror --once --extract   also unpacks it, and prints where
//
// Settings come from the environment or as flags; README.md lists them and the exit codes.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"snapswarm/common/daemon"
	"snapswarm/common/peer"
	"snapswarm/common/snapshot"
	"snapswarm/common/telemetry"
	"snapswarm/mirror/follow"
)

func main() { daemon.Main(newCommand()) }

func newCommand() *cobra.Command {
	var cfg Config
	cmd := &cobra.Command{
		Use:   "mirror",
		Short: "Follow channels, keep their newest snapshots, share them.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), cfg, daemon.NewTerminal(cmd.ErrOrStderr()), cmd.OutOrStdout())
		},
	}
	daemon.AddSettings(cmd, &cfg)
	return cmd
}

// process is what both ways to run have in common.
type process struct {
	cfg      Config
	channels []snapshot.Channel
	watched  *telemetry.Telemetry
	ops      *daemon.Ops
	peer     *peer.Peer
	follow   follow.Config
}

// run opens everything, the most likely to fail first, and works until it is done or ctx ends.
func run(ctx context.Context, cfg Config, terminal *daemon.Terminal, stdout io.Writer) (err error) {
	p := &process{cfg: cfg}
	if p.watched, err = telemetry.Start(ctx, "mirror", terminal, cfg.Process); err != nil {
		return err
	}
	defer p.watched.Close(ctx)
	log := p.watched.Log
	progress := daemon.NewProgress(terminal, log)
	defer progress.Close()
	if p.channels, err = cfg.Wanted(); err != nil {
		return err
	}
	if p.ops, err = p.watched.Listen(ctx, cfg.MetricsAddr); err != nil {
		return err
	}
	defer p.ops.Close()
	if p.peer, err = peer.Join(ctx, cfg.settings(), p.channels, log); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.peer.Close()) }()
	if p.follow, err = cfg.follow(p.peer, progress, log); err != nil {
		return err
	}
	if cfg.Once {
		if err := p.canFind(); err != nil {
			return err
		}
		return p.once(ctx, stdout)
	}
	return p.serve(ctx)
}

// canFind refuses settings with which no pointer can ever be found. Seed peers give data, but no pointers.
func (p *process) canFind() error {
	if !p.cfg.pointerless() {
		return nil
	}
	for _, ch := range p.channels {
		if _, known := p.peer.Newest(ch); known {
			return nil
		}
	}
	return daemon.Usagef("no pointer can be found with DHT_BOOTSTRAP=none and no BUCKET_URL: set BUCKET_URL, or DHT_BOOTSTRAP to a DHT node (SEED_PEERS give data only)")
}

// serve follows the channels until ctx ends.
func (p *process) serve(ctx context.Context) error {
	f := follow.New(p.follow, p.channels)
	f.Report(&p.watched.Health)
	p.watched.Log.InfoContext(ctx, "following", "channels", len(p.channels), "port", p.peer.Port(), "data", p.peer.DataDir())
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.ops.Run(ctx) })
	g.Go(func() error { return p.peer.Run(ctx) })
	g.Go(func() error { return f.Run(ctx) })
	return daemon.Graceful(ctx, g.Wait())
}

// once gets every channel's newest version, one after the other, and prints a path for each when all is on disk.
func (p *process) once(ctx context.Context, stdout io.Writer) error {
	p.watched.Health.Ready("one shot", func(context.Context) (string, error) {
		return "", errors.New("gets one version and ends, serves nobody")
	})
	aside, stop := context.WithCancel(ctx)
	defer stop()
	g, aside := errgroup.WithContext(aside)
	g.Go(func() error { return p.ops.Run(aside) })
	g.Go(func() error { return p.peer.Run(aside) })
	results, err := p.all(ctx)
	stop()
	if e := g.Wait(); err == nil && !errors.Is(e, context.Canceled) {
		err = e
	}
	err = errors.Join(err, p.peer.Close())
	for _, r := range results {
		fmt.Fprintln(stdout, r.Path())
	}
	return err
}

// all goes on with the next channel when one fails.
func (p *process) all(ctx context.Context) (results []follow.Result, err error) {
	var errs []error
	for _, ch := range p.channels {
		r, err := follow.Once(ctx, p.follow, ch)
		if err == nil {
			results = append(results, r)
			continue
		}
		errs = append(errs, follow.WithExitCode(err))
		if ctx.Err() != nil {
			break
		}
	}
	return results, errors.Join(errs...)
}
