// Command gateway serves the snapshots of channels over plain HTTP, straight from the swarm: users need nothing but curl.
//
//	curl -O http://127.0.0.1:8080/<channel>/latest/<file>
//
// It follows the channels that it was given, fetches each new snapshot in the background, shares it with other peers, and serves
// it from the moment its torrent is known: pieces that a reader waits for are fetched first.
//
// Settings come from the environment or as flags; README.md lists them, the routes and the exit codes.
package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"snapswarm/common/daemon"
	"snapswarm/common/peer"
	"snapswarm/common/telemetry"
	"snapswarm/gateway/catalog"
	"snapswarm/gateway/serve"
)

// How the gateway ends, see daemon.Drain. Pieces still come from the swarm meanwhile: that is left last.
const (
	notice = 2 * time.Second
	grace  = 5 * time.Second
)

func main() { daemon.Main(newCommand()) }

func newCommand() *cobra.Command {
	var cfg Config
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Serve snapshots from the swarm over HTTP.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), cfg, daemon.NewTerminal(cmd.ErrOrStderr()))
		},
	}
	daemon.AddSettings(cmd, &cfg)
	return cmd
}

// run opens the addresses first: one that is taken is the most likely mistake.
func run(ctx context.Context, cfg Config, terminal *daemon.Terminal) error {
	watched, err := telemetry.Start(ctx, "gateway", terminal, cfg.Process)
	if err != nil {
		return err
	}
	defer watched.Close(ctx)
	ln, err := daemon.Listen(ctx, "HTTP_ADDR", cfg.HTTPAddr)
	if err != nil {
		return err
	}
	defer ln.Close()
	ops, err := watched.Listen(ctx, cfg.MetricsAddr)
	if err != nil {
		return err
	}
	defer ops.Close()
	return follow(ctx, cfg, ln, ops, watched)
}

// follow joins the swarm and serves until ctx ends.
func follow(ctx context.Context, cfg Config, ln net.Listener, ops *daemon.Ops, watched *telemetry.Telemetry) (err error) {
	log := watched.Log
	channels, err := cfg.Wanted()
	if err != nil {
		return err
	}
	p, err := peer.Join(ctx, cfg.Settings, channels, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	cat := catalog.New(swarmPeer{p}, catalog.Config{Channels: channels, PollInterval: cfg.PollInterval, Log: log})
	watched.Health.Ready("snapshots", cat.Ready)
	handler, err := serve.New(library{cat}, serve.Config{Log: log, PublicURL: cfg.PublicURL})
	if err != nil {
		return err
	}
	log.InfoContext(ctx, "serving", "url", "http://"+ln.Addr().String()+"/", "channels", len(channels), "port", p.Port(), "data", p.DataDir())
	return daemon.Graceful(ctx, work(ctx, ops, p, cat, ln, serve.NewServer(handler, log)))
}

func work(ctx context.Context, ops *daemon.Ops, p *peer.Peer, cat *catalog.Catalog, ln net.Listener, server *http.Server) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return ops.Run(ctx) })
	g.Go(func() error { return p.Run(ctx) })
	g.Go(func() error { return cat.Run(ctx) })
	g.Go(func() error {
		return daemon.ServeHTTP(ctx, ln, server, daemon.Drain{Notice: ops.Notice(notice), Grace: grace})
	})
	return g.Wait()
}
