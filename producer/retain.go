package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"snapswarm/common/daemon"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

func retainCommand() *cobra.Command {
	var cfg RetainConfig
	var o retainOptions
	cmd := &cobra.Command{
		Use:   "retain",
		Short: "Remove versions beyond SNAPSHOT_RETENTION_COUNT; --dry-run only shows which, and why.",
		Long: "Remove the versions that need not stay any more, from the bucket and this disk, as each publication does at its end. " +
			"It shows each version, and why it stays or goes. With --dry-run nothing is removed, no key is needed, " +
			"and producer serve may be running.",
		RunE: func(cmd *cobra.Command, _ []string) error { return runRetain(cmd.Context(), cfg, o, cmd.OutOrStdout()) },
	}
	daemon.AddSettings(cmd, &cfg)
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "only show what would go")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON for programs")
	return cmd
}

type retainOptions struct{ dryRun, json bool }

// retained is what the command retain prints.
type retained struct {
	publish.Retention
	DryRun  bool               `json:"dry_run"`
	Removed []snapshot.Version `json:"removed,omitempty"`
}

func runRetain(ctx context.Context, cfg RetainConfig, o retainOptions, out io.Writer) error {
	var err error
	r := retained{DryRun: o.dryRun}
	if o.dryRun {
		r.Retention, err = planRetention(ctx, cfg)
	} else {
		r.Retention, r.Removed, err = retain(ctx, cfg)
	}
	if r.Channel == "" { // there is no plan
		return coded(err)
	}
	if o.json {
		return errors.Join(writeJSON(out, r), coded(err))
	}
	return errors.Join(writeRetention(out, r), coded(err))
}

func planRetention(ctx context.Context, cfg RetainConfig) (publish.Retention, error) {
	log := daemon.NewLogger(daemon.NewTerminal(os.Stderr), cfg.Process)
	view, err := cfg.view(ctx, log)
	if err != nil {
		return publish.Retention{}, err
	}
	defer view.close()
	k, err := view.keeping(cfg.DataDir, cfg.Retention, log)
	if err != nil {
		return publish.Retention{}, err
	}
	return publish.PlanRetention(ctx, k)
}

// view opens everything that can be asked without being the publisher.
func (c StatusConfig) view(ctx context.Context, log *slog.Logger) (*statusView, error) {
	ch, err := c.subject()
	if err != nil {
		return nil, err
	}
	view := &statusView{channel: ch}
	if err := errors.Join(view.openBucket(ctx, c, log), view.openDHT(ctx, c, log)); err != nil {
		view.close()
		return nil, err
	}
	return view, nil
}

func retain(ctx context.Context, cfg RetainConfig) (plan publish.Retention, removed []snapshot.Version, err error) {
	cfg.ListenAddr = anyPort(cfg.ListenAddr)
	s, err := begin(ctx, sessionPlan(cfg.ChannelConfig, cfg.BucketConfig, cfg.Network, cfg.Process, SnapshotConfig{Retention: cfg.Retention}))
	if err != nil {
		return plan, nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	stop := s.inBackground(ctx, s.peer.Run)
	defer stop()
	return s.publisher.Retain(ctx)
}

// sessionPlan is the plan of a command that packs nothing.
func sessionPlan(ch ChannelConfig, b BucketConfig, n daemon.Network, p daemon.Process, s SnapshotConfig) plan {
	return plan{ChannelConfig: ch, BucketConfig: b, SnapshotConfig: s, NetworkConfig: NetworkConfig{Network: n}, Process: p}
}

// rehearse shows what publish would do.
func rehearse(ctx context.Context, cfg PublishConfig, req publish.Request, out io.Writer) error {
	log := daemon.NewLogger(daemon.NewTerminal(os.Stderr), cfg.Process)
	seen := StatusConfig{ChannelConfig: cfg.ChannelConfig, BucketConfig: cfg.BucketConfig, Network: cfg.Network, Process: cfg.Process}
	view, err := seen.view(ctx, log)
	if err != nil {
		return coded(err)
	}
	defer view.close()
	k, err := view.keeping(cfg.DataDir, cfg.Retention, log)
	if err != nil {
		return err
	}
	how := publish.Config{Name: cfg.Name, PassThrough: cfg.Compression == "none", Public: view.public}
	r, err := publish.Rehearse(ctx, how, k, req)
	if err != nil {
		return coded(err)
	}
	return writeRehearsal(out, r)
}

func writeRehearsal(out io.Writer, r publish.Rehearsal) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("would publish", "%s", r.Version)
	line("file", "%s", r.File)
	if r.RawSize >= 0 {
		line("size", "%s raw", bytesOf(r.RawSize))
	}
	if r.After.IsZero() {
		line("after", "nothing: it would be the first of the channel")
	} else {
		line("after", "%s", r.After)
	}
	if r.URL != "" {
		line("url", "%s", r.URL)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out, "\nThen:")
	return writeRetention(out, retained{Retention: r.Retention, DryRun: true})
}

func writeRetention(out io.Writer, r retained) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tBUCKET\tDISK\t\tWHY")
	var bucketBytes, diskBytes int64
	for _, v := range r.Versions {
		lot := "stays"
		if !v.Kept {
			lot, bucketBytes, diskBytes = "goes", bucketBytes+v.Stored, diskBytes+v.OnDisk
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", v.Version, shortly(v.Stored), shortly(v.OnDisk), lot, v.Why)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, key := range r.Foreign {
		fmt.Fprintf(out, "left alone: %s belongs to no version\n", key)
	}
	leaving := len(r.Leaving())
	amount := fmt.Sprintf("%d of %d versions, with %s in the bucket and %s on this disk",
		leaving, len(r.Versions), humanize.IBytes(uint64(bucketBytes)), humanize.IBytes(uint64(diskBytes)))
	switch {
	case leaving == 0:
		fmt.Fprintln(out, "Nothing has to go.")
	case r.DryRun:
		fmt.Fprintf(out, "%s, would go.\n", amount)
	case len(r.Removed) < leaving:
		fmt.Fprintf(out, "%d of them are gone; the rest goes next time.\n", len(r.Removed))
	default:
		fmt.Fprintf(out, "%s, are gone.\n", amount)
	}
	return nil
}

// shortly is a size in a table.
func shortly(n int64) string {
	if n == 0 {
		return "-"
	}
	return humanize.IBytes(uint64(max(n, 0)))
}

func writeJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false) // a channel's link has an ampersand
	return e.Encode(v)
}
