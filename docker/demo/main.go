// Command demo runs a whole swarm on this machine and nowhere else: S3 storage, a private DHT, a producer that publishes
// a directory, a mirror and a gateway. It shows each step, then the curl command that gets the snapshot, and runs until
// Ctrl-C.
//
//	make demo                       # with $(go env GOROOT)/src
//	make demo SNAPSHOT=/some/dir    # with something else, a directory or a file
//	make demo CHECK=1               # runs the curl command, compares what came with the source, ends with 0 or 1
//
// DEMO_DIR keeps all state; without it, it lies in a temporary folder that is removed at the end. When the swarm is up,
// DEMO_DIR/env has what another program needs to join it, for a shell to read.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"snapswarm/common/daemon"
)

// Config is everything that the demo can be told.
type Config struct {
	Snapshot string `env:"SNAPSHOT" group:"Demo" value:"PATH" help:"directory or file to publish; default: the source of Go's standard library"`
	DemoDir  string `env:"DEMO_DIR" value:"DIR" help:"folder for all state; default: a temporary one, removed at the end"`
	HTTPPort uint16 `env:"DEMO_HTTP_PORT" envDefault:"0" value:"PORT" help:"port of the gateway; 0: 8080, or another one if that is taken"`
	Check    bool   `env:"CHECK" envDefault:"false" help:"download, compare with the source, end"`
	Verbose  bool   `env:"DEMO_VERBOSE" envDefault:"false" help:"show what the processes log"`
}

func main() { daemon.Main(command()) }

func command() *cobra.Command {
	var cfg Config
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a whole swarm on this machine.",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), cfg) },
	}
	daemon.AddSettings(cmd, &cfg)
	return cmd
}

// checkLimit is when a check must have ended, whatever hangs.
const checkLimit = 20 * time.Minute

func run(ctx context.Context, cfg Config) (err error) {
	if cfg.Check {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, checkLimit, fmt.Errorf("the check took longer than %v", checkLimit))
		defer cancel()
	}
	if err := cfg.complete(ctx); err != nil {
		return err
	}
	dir, remove, err := stateDir(cfg.DemoDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	d := newDemo(cfg, dir)
	defer func() { err = errors.Join(err, d.close()) }()
	if err = d.show(ctx); err != nil && ctx.Err() == nil {
		d.explain()
	}
	return err
}

// show brings the swarm up and then checks it or lets it run.
func (d *demo) show(ctx context.Context) error {
	if err := d.up(ctx); err != nil {
		return err
	}
	if d.cfg.Check {
		return d.check(ctx)
	}
	return d.wait(ctx)
}

// complete finds the source, with an absolute name and without symbolic links, which an archive does not follow.
func (c *Config) complete(ctx context.Context) error {
	if c.Snapshot == "" {
		out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return fmt.Errorf("find Go's source: %w; set SNAPSHOT to a directory", err)
		}
		c.Snapshot = filepath.Join(strings.TrimSpace(string(out)), "src")
	}
	path, err := filepath.EvalSymlinks(c.Snapshot)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return fmt.Errorf("SNAPSHOT: %w", err)
	}
	c.Snapshot = path
	return nil
}

// stateDir is the folder for everything, and how to leave it.
func stateDir(dir string) (path string, remove func() error, err error) {
	if dir != "" {
		path, err = filepath.Abs(dir)
		return path, func() error { return nil }, err
	}
	path, err = os.MkdirTemp("", "snapswarm-demo-")
	return path, func() error { return os.RemoveAll(path) }, err
}
