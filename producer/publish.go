package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"snapswarm/common/daemon"
	"snapswarm/producer/publish"
)

func publishCommand() *cobra.Command {
	var cfg PublishConfig
	var o publishOptions
	cmd := &cobra.Command{
		Use:   "publish PATH",
		Short: "Publish a file, a directory or (-) standard input as the channel's newest snapshot.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := runPublish(cmd.Context(), cfg, args[0], o, cmd.InOrStdin(), cmd.OutOrStdout())
			if here := (*publish.HeldError)(nil); !o.dryRun && errors.As(err, &here) && here.Until.IsZero() {
				return handOver(cmd, cfg, args[0], o.force, err)
			}
			return err
		},
	}
	daemon.AddSettings(cmd, &cfg)
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "check everything and show what would be published and removed; change nothing")
	cmd.Flags().BoolVar(&o.force, "force", false, "publish also when HEIGHT is lower than that of the newest snapshot")
	return cmd
}

// publishOptions are flags that make no sense in the environment.
type publishOptions struct{ dryRun, force bool }

func runPublish(ctx context.Context, cfg PublishConfig, path string, o publishOptions, in io.Reader, out io.Writer) (err error) {
	src, err := openSource(ctx, cfg, path, in)
	if err != nil {
		return coded(err)
	}
	req := publish.Request{Source: src, Height: cfg.Height, Force: o.force}
	if o.dryRun {
		return rehearse(ctx, cfg, req, out)
	}
	cfg.ListenAddr = anyPort(cfg.ListenAddr)
	s, err := begin(ctx, plan{
		ChannelConfig: cfg.ChannelConfig, BucketConfig: cfg.BucketConfig, SnapshotConfig: cfg.SnapshotConfig,
		NetworkConfig: cfg.NetworkConfig, Process: cfg.Process,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	stop := s.inBackground(ctx, s.peer.Run)
	defer stop()
	rep, err := s.publisher.Publish(ctx, req)
	if err != nil {
		return coded(err)
	}
	s.progress.Close()
	return writeReport(out, rep)
}

func openSource(ctx context.Context, cfg PublishConfig, path string, in io.Reader) (publish.Source, error) {
	secrets := private(cfg.ChannelConfig, cfg.BucketConfig, cfg.DataDir)
	if path != "-" {
		if err := publish.CheckPrivate(ctx, path, secrets); err != nil {
			return publish.Source{}, err
		}
		return publish.OpenSource(ctx, path)
	}
	if err := checkStream(in, secrets); err != nil {
		return publish.Source{}, err
	}
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return publish.Source{}, daemon.Usagef("standard input is a terminal: pipe the snapshot into producer publish -")
	}
	return publish.StreamSource(in, cfg.Name, cfg.Compression == "none")
}

// inBackground runs f until stop is called, which waits for its end.
func (s *session) inBackground(ctx context.Context, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(ctx); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "the DHT node stopped", "error", err)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// writeReport prints the lines that an operator wants to keep.
func writeReport(out io.Writer, r publish.Report) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("published", "%s", r.Version)
	line("file", "%s", r.File)
	if r.FileBefore != "" {
		line("WARNING", "the file before was %s: links to …/latest/%[1]s break; --name %[1]s keeps them", r.FileBefore)
	}
	line("size", "%s of %s raw (ratio %.2f)", bytesOf(r.Size), bytesOf(r.RawSize), float64(r.RawSize)/float64(r.Size))
	line("sha256", "%s", r.SHA256)
	line("info-hash", "%s (%d pieces of %s)", r.InfoHash, r.Pieces, humanize.IBytes(uint64(r.PieceLength)))
	if r.InfoHashV2 != "" {
		line("v2 info-hash", "%s", r.InfoHashV2)
	}
	line("channel", "%s", r.Channel)
	if r.URL != "" {
		line("url", "%s", r.URL)
	} else {
		line("url", "none: PUBLIC_URL is not set")
	}
	switch {
	case r.DHTError != "":
		line("dht", "not stored: %s", r.DHTError)
	case r.DHT != nil:
		line("dht", "stored on %d nodes, read back from %d others", r.DHT.Stored, r.DHT.ReadBack)
	default:
		line("dht", "not used: DHT_BOOTSTRAP is none")
	}
	line("expires", "%s unless renewed; producer serve renews it", r.Expires.Format(time.RFC3339))
	line("took", "%s (%.1f MB/s of raw data)", r.Took.Round(10*time.Millisecond), float64(r.RawSize)/1e6/r.Took.Seconds())
	return w.Flush()
}

func bytesOf(n int64) string {
	return fmt.Sprintf("%s (%s bytes)", humanize.IBytes(uint64(max(n, 0))), humanize.Comma(n))
}
