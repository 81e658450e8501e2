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
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"snapswarm/common/daemon"
	"snapswarm/common/peer"
	"snapswarm/common/telemetry"
	"snapswarm/gateway/catalog"
	"snapswarm/gateway/serve"
)

// grace is how long downloads under way may go on when the process stops. Docker kills after 10 s, and leaving the swarm in
// order takes some of them.
const grace = 7 * time.Second

func main() { daemon.Main(newCommand()) }

func newCommand() *cobra.Command {
	var cfg Config
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Serve snapshots from the swarm over HTTP.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), cfg, terminalOn(cmd.ErrOrStderr()))
		},
	}
	daemon.AddSettings(cmd, &cfg)
	return cmd
}

// terminalOn is where the log goes.
func terminalOn(w io.Writer) *daemon.Terminal {
	if f, ok := w.(*os.File); ok {
		return daemon.NewTerminal(f)
	}
	return &daemon.Terminal{Out: w}
}

func run(ctx context.Context, cfg Config, terminal *daemon.Terminal) error {
	log := daemon.NewLogger(terminal, cfg.Process)
	watched, err := telemetry.Setup(ctx, telemetry.Config{Service: "gateway", Version: daemon.ReadBuild().Version, Log: log})
	if err != nil {
		return err
	}
	log = watched.Logger(log)
	defer func() {
		if err := watched.Shutdown(ctx); err != nil {
			log.WarnContext(ctx, "telemetry was lost", "error", err)
		}
	}()
	// The addresses come first: one that is taken is the most likely mistake.
	var lc closers
	defer lc.close()
	ln, err := daemon.Listen(ctx, "HTTP_ADDR", cfg.HTTPAddr)
	if err != nil {
		return err
	}
	lc.add(ln)
	var health daemon.Health
	ops, err := daemon.ListenOps(ctx, cfg.MetricsAddr, &health, watched.Handler(), log)
	if err != nil {
		return err
	}
	lc.add(ops)
	return follow(ctx, cfg, ln, ops, &health, log)
}

// follow joins the swarm and serves until ctx ends.
func follow(ctx context.Context, cfg Config, ln net.Listener, ops *daemon.Ops, health *daemon.Health, log *slog.Logger) (err error) {
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
	health.Ready("snapshots", cat.Ready)
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
	g.Go(func() error { return daemon.ServeHTTP(ctx, ln, server, grace) })
	return g.Wait()
}

// closers are closed when the process ends before it served: closing what is closed already does no harm.
type closers []io.Closer

func (c *closers) add(one io.Closer) { *c = append(*c, one) }

func (c *closers) close() {
	for _, one := range *c {
		_ = one.Close()
	}
}
