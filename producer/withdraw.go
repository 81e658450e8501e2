package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"snapswarm/common/daemon"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

func withdrawCommand() *cobra.Command {
	var cfg WithdrawConfig
	var o withdrawOptions
	cmd := &cobra.Command{
		Use:   "withdraw VERSION",
		Short: "Take back the newest version: sign the pointer to the one before it.",
		Long: "Take back the newest version, for example one that turned out to be bad: the one before it is probed and becomes the newest " +
			"again, and mirrors and gateways go back to it. The files stay for those who have begun with them, unless --delete is given.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runWithdraw(cmd.Context(), cfg, args[0], o, cmd.OutOrStdout())
		},
	}
	daemon.AddSettings(cmd, &cfg)
	cmd.Flags().BoolVar(&o.remove, "delete", false, "also remove the version's files from the bucket and this disk")
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON for programs")
	return cmd
}

type withdrawOptions struct{ remove, json bool }

func runWithdraw(ctx context.Context, cfg WithdrawConfig, name string, o withdrawOptions, out io.Writer) (err error) {
	v, err := snapshot.ParseVersion(name)
	if err != nil {
		return daemon.Usagef("%w", err)
	}
	cfg.ListenAddr = anyPort(cfg.ListenAddr)
	s, err := begin(ctx, sessionPlan(cfg.ChannelConfig, cfg.BucketConfig, cfg.Network, cfg.Process, SnapshotConfig{PointerTTL: cfg.PointerTTL}))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	stop := s.inBackground(ctx, s.peer.Run)
	defer stop()
	w, err := s.publisher.Withdraw(ctx, v, o.remove)
	if err != nil {
		return coded(err)
	}
	s.progress.Close()
	if o.json {
		return writeJSON(out, w)
	}
	return writeWithdrawal(out, w)
}

func writeWithdrawal(out io.Writer, r publish.Withdrawal) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("withdrawn", "%s", r.Withdrawn)
	line("newest now", "%s", r.Version)
	line("file", "%s", r.File)
	line("size", "%s", bytesOf(r.Size))
	line("info-hash", "%s", r.InfoHash)
	line("channel", "%s", r.Channel)
	if r.URL != "" {
		line("url", "%s", r.URL)
	}
	switch {
	case r.RemoveError != "":
		line("WARNING", "not all files of %s are gone: %s", r.Withdrawn, r.RemoveError)
	case r.Removed:
		line("files", "those of %s are gone", r.Withdrawn)
	default:
		line("files", "those of %s stay for those who have begun with them", r.Withdrawn)
	}
	line("expires", "%s unless renewed; producer serve renews it", r.Expires.Format(time.RFC3339))
	return w.Flush()
}
