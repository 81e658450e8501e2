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
	"snapswarm/common/peer"
	"snapswarm/producer/publish"
)

func publishCommand() *cobra.Command {
	var cfg PublishConfig
	var o publishOptions
	cmd := &cobra.Command{
		Use:   "publish PATH | --placeholder SIZE",
		Short: "Publish a file, a directory or (-) standard input as the channel's newest snapshot.",
		Args:  func(_ *cobra.Command, args []string) error { return o.take(args) },
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.placeholder > 0 {
				if cfg.ChannelConfig, err = cfg.placeholder(); err != nil {
					return err
				}
			}
			err = runPublish(cmd.Context(), cfg, o, cmd.InOrStdin(), cmd.OutOrStdout())
			if here := (*publish.HeldError)(nil); !o.dryRun && errors.As(err, &here) && here.Until.IsZero() {
				return handOver(cmd, cfg, o, err)
			}
			return err
		},
	}
	daemon.AddSettings(cmd, &cfg)
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "check everything and show what would be published and removed; change nothing")
	cmd.Flags().BoolVar(&o.force, "force", false, "publish also when HEIGHT is lower than that of the newest snapshot")
	cmd.Flags().Func("placeholder", "publish `SIZE` of generated data, such as 10GiB, on a channel of its own, DHT_SALT with -placeholder, "+
		"to try bucket, DHT and mirrors before there is a snapshot", o.setPlaceholder)
	return cmd
}

// publishOptions are flags that make no sense in the environment, and what to publish: one of path and placeholder.
type publishOptions struct {
	dryRun, force bool
	path          string
	placeholder   daemon.Bytes
}

func (o *publishOptions) setPlaceholder(text string) error {
	err := o.placeholder.UnmarshalText([]byte(text))
	if err == nil && o.placeholder == 0 {
		err = errors.New("want at least 1 byte")
	}
	return err
}

// take reads the arguments, after the flags were read.
func (o *publishOptions) take(args []string) error {
	switch {
	case o.placeholder > 0 && len(args) > 0:
		return errors.New("--placeholder generates the data itself: leave out PATH, or --placeholder")
	case o.placeholder > 0:
		return nil
	case len(args) != 1:
		return fmt.Errorf("want one PATH, got %d", len(args))
	}
	o.path = args[0]
	return nil
}

func runPublish(ctx context.Context, cfg PublishConfig, o publishOptions, in io.Reader, out io.Writer) (err error) {
	src, err := o.source(ctx, cfg, in)
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
		return o.explain(err)
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if o.placeholder > 0 {
		s.log.InfoContext(ctx, "generated data on a channel of its own", "channel", s.channel.Salt, "size", o.placeholder.String())
	}
	stop := s.inBackground(ctx, s.peer.Run)
	defer stop()
	rep, err := s.publisher.Publish(ctx, req)
	if err != nil {
		return coded(err)
	}
	s.progress.Close()
	return writeReport(out, rep)
}

// explain says what to do when another channel is served from the same folder: the two can go on side by side.
func (o publishOptions) explain(err error) error {
	if o.placeholder > 0 && errors.Is(err, peer.ErrInUse) {
		return daemon.WithCode(daemon.ExitTaken, fmt.Errorf("%w; give the placeholder another DATA_DIR", err))
	}
	return err
}

func (o publishOptions) source(ctx context.Context, cfg PublishConfig, in io.Reader) (publish.Source, error) {
	if o.placeholder > 0 {
		return publish.Placeholder(int64(o.placeholder), 0), nil
	}
	secrets := private(cfg.ChannelConfig, cfg.BucketConfig, cfg.DataDir)
	if o.path != "-" {
		if err := publish.CheckPrivate(ctx, o.path, secrets); err != nil {
			return publish.Source{}, err
		}
		return publish.OpenSource(ctx, o.path)
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
	if r.Resumed { // the source was not read, so there is no rate
		line("resumed", "an earlier run had packed it; this one stored what was missing")
		line("took", "%s", r.Took.Round(10*time.Millisecond))
	} else {
		line("took", "%s (%.1f MB/s of raw data)", r.Took.Round(10*time.Millisecond), float64(r.RawSize)/1e6/r.Took.Seconds())
	}
	return w.Flush()
}

func bytesOf(n int64) string {
	return fmt.Sprintf("%s (%s bytes)", humanize.IBytes(uint64(max(n, 0))), humanize.Comma(n))
}
