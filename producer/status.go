package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"snapswarm/common/bucket"
	"snapswarm/common/daemon"
	"snapswarm/common/dht"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

// statusPatience is how long the slowest source may take.
const statusPatience = 20 * time.Second

func statusCommand() *cobra.Command {
	var cfg StatusConfig
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the newest pointer of every source, what it names, and whether that is there.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runStatus(cmd.Context(), cfg, asJSON, cmd.OutOrStdout())
		},
	}
	daemon.AddSettings(cmd, &cfg)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON for programs")
	return cmd
}

func runStatus(ctx context.Context, cfg StatusConfig, asJSON bool, out io.Writer) error {
	log := daemon.NewLogger(daemon.NewTerminal(os.Stderr), cfg.Process)
	view, err := cfg.view(ctx, log)
	if err != nil {
		return coded(err)
	}
	defer view.close()
	st, err := view.inspect(ctx, cfg.DataDir)
	if err != nil {
		return err
	}
	if asJSON {
		err = writeJSON(out, st)
	} else {
		err = writeStatus(out, st, time.Now())
	}
	return errors.Join(err, coded(st.Err(time.Now())))
}

// subject is the channel to look at: no secret is needed for that.
func (c StatusConfig) subject() (snapshot.Channel, error) {
	switch {
	case !c.AuthorityKey.IsZero():
		key, err := parseKey(c.AuthorityKey)
		if err != nil {
			return snapshot.Channel{}, err
		}
		return c.channel(key)
	case c.Channel != "":
		ch, err := snapshot.ParseChannel(c.Channel)
		return ch, daemon.WithCode(daemon.ExitUsage, err)
	case c.AuthorityPubkey != "":
		key, err := snapshot.ParseKey(c.AuthorityPubkey)
		if err != nil {
			return snapshot.Channel{}, daemon.Usagef("AUTHORITY_PUBKEY: %w", err)
		}
		ch, err := snapshot.NewChannel(key, c.DHTSalt)
		return ch, daemon.WithCode(daemon.ExitUsage, err)
	}
	return snapshot.Channel{}, daemon.Usagef("no channel given: set CHANNEL, or AUTHORITY_PUBKEY and DHT_SALT, or AUTHORITY_KEY_FILE")
}

// statusView is what a status is asked of.
type statusView struct {
	channel snapshot.Channel
	store   bucket.Store
	public  publish.Public
	sources []pointer.Source
	node    *dht.Node
}

func (v *statusView) openBucket(ctx context.Context, cfg StatusConfig, log *slog.Logger) (err error) {
	if cfg.Bucket != "" {
		settings := cfg.store()
		settings.Log, settings.RetryFor, settings.StallAfter = log, -1, statusPatience/2 // who asks wants to know now
		if v.store, err = bucket.Open(settings); err != nil {
			return codedOpen(fmt.Errorf("BUCKET: %w", err))
		}
		v.sources = append(v.sources, bucket.PointerSource(v.store))
	}
	if cfg.Bucket == "" && cfg.PublicURL == "" {
		return nil
	}
	reader, err := cfg.openPublic(ctx, log, cfg.AllowPrivate)
	if reader != nil {
		v.public = reader
		v.sources = append(v.sources, bucket.PointerSource(reader))
	}
	return err
}

// keeping is what retention is planned from.
func (v *statusView) keeping(dataDir string, keep int, log *slog.Logger) (publish.Keeping, error) {
	abs, err := filepath.Abs(dataDir)
	if err != nil {
		return publish.Keeping{}, fmt.Errorf("DATA_DIR: %w", err)
	}
	k := publish.Keeping{Channel: v.channel, DataDir: abs, Store: v.store, Keep: keep, Now: time.Now(), Log: log}
	if v.public != nil {
		k.Sources = append(k.Sources, bucket.PointerSource(v.public))
	}
	if v.node != nil {
		k.Slow = append(k.Slow, v.node)
	}
	return k, nil
}

// openDHT joins for the moment, on a port of its own: serve may be running.
func (v *statusView) openDHT(ctx context.Context, cfg StatusConfig, log *slog.Logger) error {
	if cfg.DHTBootstrap != nil && len(cfg.DHTBootstrap) == 0 {
		return nil
	}
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp4", string(anyPort(cfg.ListenAddr)))
	if err != nil {
		return fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	v.node, err = dht.New(dht.Config{Conn: conn, Bootstrap: cfg.DHTBootstrap, Private: cfg.AllowPrivate, ReadOnly: true, Log: log})
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	v.sources = append(v.sources, v.node)
	return nil
}

func (v *statusView) close() {
	if v.node != nil {
		_ = v.node.Close()
	}
}

func (v *statusView) inspect(ctx context.Context, dataDir string) (publish.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	st := publish.Inspect(ctx, v.channel, v.sources, v.store, v.public)
	abs, err := filepath.Abs(dataDir)
	if err != nil {
		return st, err
	}
	holder, ok, err := publish.HolderOf(abs, v.channel.Salt)
	if ok {
		st.Holder = &holder
	}
	return st, err
}

func writeStatus(out io.Writer, st publish.Status, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("channel", "%s", st.Channel)
	if st.Holder != nil {
		line("publisher", "%s", st.Holder)
	} else {
		line("publisher", "none runs on this data directory")
	}
	if st.Lease != nil {
		line("lease", "%s", leaseText(*st.Lease))
	}
	for _, src := range st.Sources {
		line("pointer", "%s: %s", src.Name, sourceText(src, now))
	}
	if n := st.Newest; n != nil {
		writeNewest(line, n, now)
	}
	return w.Flush()
}

func leaseText(l publish.LeaseStatus) string {
	switch {
	case l.Error != "":
		return "cannot be read: " + l.Error
	case l.Holder == nil:
		return "none: any producer with the key may publish"
	}
	return fmt.Sprintf("%s, until %s unless renewed", l.Holder, l.Until.Format(time.RFC3339))
}

func sourceText(s publish.SourceStatus, now time.Time) string {
	switch {
	case s.Error != "" && s.Seq > 0:
		return fmt.Sprintf("seq %d REFUSED: %s", s.Seq, s.Error)
	case s.Error != "":
		return "cannot be asked: " + s.Error
	case s.Seq == 0:
		return "has none"
	}
	return fmt.Sprintf("seq %d, signed %s, %s, names %s", s.Seq, ago(s.Signed, now), expiry(s.Expires, now), s.InfoHash)
}

func writeNewest(line func(name, format string, args ...any), n *publish.SnapshotStatus, now time.Time) {
	line("info-hash", "%s", n.InfoHash)
	if n.Height > 0 {
		line("height", "%d", n.Height)
	} else {
		line("height", "none")
	}
	if n.Error != "" {
		line("torrent", "not found: %s", n.Error)
		return
	}
	line("version", "%s, made %s", n.Version, ago(n.Created, now))
	for _, v := range n.Newer {
		line("newer", "%s is in the bucket, but not the newest: it was withdrawn, or is on its way", v)
	}
	line("file", "%s", n.File)
	line("size", "%s of %s raw", bytesOf(n.Size), bytesOf(n.RawSize))
	line("sha256", "%s", n.SHA256)
	if n.Previous != "" {
		line("previous", "%s", n.Previous)
	}
	if n.URL != "" {
		line("url", "%s", n.URL)
	}
	for _, o := range n.Objects {
		if o.OK {
			line("object", "%s: %s", o.Key, bytesOf(o.Size))
		} else {
			line("object", "%s: MISSING: %s", o.Key, o.Error)
		}
	}
}

func ago(t, now time.Time) string {
	if t.IsZero() {
		return "at an unknown time"
	}
	if d := t.Sub(now); d > 0 {
		return "in " + rough(d)
	}
	return rough(now.Sub(t)) + " ago"
}

// rough is a duration as people say it.
func rough(d time.Duration) string {
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"days", 24 * time.Hour}, {"hours", time.Hour}, {"minutes", time.Minute}} {
		if d >= 2*unit.size {
			return fmt.Sprintf("%d %s", (d+unit.size/2)/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%d seconds", d/time.Second)
}

func expiry(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "expiry unknown"
	case now.After(t):
		return "EXPIRED " + ago(t, now)
	}
	return "expires " + ago(t, now)
}
