package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"snapswarm/common/daemon"
	"snapswarm/producer/handover"
	"snapswarm/producer/publish"
)

// order is what publish asks of a running serve.
type order struct {
	Channel string `json:"channel"`
	Path    string `json:"path,omitempty"` // absolute; none when the data is generated
	// Placeholder is how many bytes are to be generated, if there is no path.
	Placeholder int64  `json:"placeholder,omitempty"`
	Height      uint64 `json:"height,omitempty"`
	Force       bool   `json:"force,omitempty"`
	// Terms are the settings that publish was given and serve has, too.
	Terms map[string]string `json:"terms,omitempty"`
}

// termsOf are the settings in these structs that decide what a publication becomes and where, by name. Secrets are left out.
func termsOf(structs ...any) map[string]string {
	terms := make(map[string]string)
	for _, s := range structs {
		v := reflect.ValueOf(s).Elem()
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if key := f.Tag.Get("env"); key != "" && f.Type != reflect.TypeFor[daemon.Secret]() {
				terms[key] = fmt.Sprint(v.Field(i).Interface())
			}
		}
	}
	return terms
}

// given are those of terms that the user has set for cmd, rather than left at their defaults.
func given(cmd *cobra.Command, settings []daemon.Setting, terms map[string]string) map[string]string {
	set := make(map[string]string)
	for _, s := range settings {
		value, ok := terms[s.Key]
		said := cmd.Flags().Changed(s.Flag)
		for _, name := range append([]string{s.Key}, s.Aliases...) {
			said = said || os.Getenv(name) != ""
		}
		if ok && said {
			set[s.Key] = value
		}
	}
	return set
}

// handOver lets the serve that holds the channel on this machine publish. Where nobody takes orders, held is the error.
func handOver(cmd *cobra.Command, cfg PublishConfig, what publishOptions, held error) error {
	if what.path == "-" {
		return fmt.Errorf("%w; a running serve takes over files and directories, but no standard input", held)
	}
	o, dir, err := orderOf(cmd, cfg, what)
	if err != nil {
		return err
	}
	terminal := daemon.NewTerminal(os.Stderr)
	log := daemon.NewLogger(terminal, cfg.Process)
	progress := daemon.NewProgress(terminal, log)
	defer progress.Close()
	outcome, err := handover.Call(cmd.Context(), dir, o, handover.View{
		Log:   log,
		Begin: func(label string, total int64) handover.Task { return progress.Start(label, total) },
	})
	progress.Close()
	switch {
	case errors.Is(err, handover.ErrNobody):
		return held
	case err != nil:
		return err
	case outcome.Error != "":
		return daemon.WithCode(daemon.Exit(outcome.Exit), errors.New(outcome.Error))
	}
	var rep publish.Report
	if err := json.Unmarshal(outcome.Result, &rep); err != nil {
		return fmt.Errorf("read the report of serve: %w", err)
	}
	return writeReport(cmd.OutOrStdout(), rep)
}

// orderOf says what is wanted, and in which folder the desk is.
func orderOf(cmd *cobra.Command, cfg PublishConfig, what publishOptions) (o order, dir string, err error) {
	settings, err := daemon.Settings(&cfg)
	if err != nil {
		return o, "", err
	}
	key, err := parseKey(cfg.AuthorityKey)
	if err != nil {
		return o, "", err
	}
	ch, err := cfg.channel(key)
	if err != nil {
		return o, "", err
	}
	path := what.path
	if what.placeholder == 0 {
		if path, err = filepath.Abs(path); err != nil {
			return o, "", err
		}
	}
	if dir, err = filepath.Abs(publish.StateDir(cfg.DataDir, ch.Salt)); err != nil {
		return o, "", err
	}
	return order{
		Channel: ch.String(), Path: path, Placeholder: int64(what.placeholder), Height: cfg.Height, Force: what.force,
		Terms: given(cmd, settings, termsOf(&cfg.BucketConfig, &cfg.SnapshotConfig)),
	}, dir, nil
}

// openDesk is nil when no orders can be taken; that is no reason not to serve.
func (s *session) openDesk(ctx context.Context) *handover.Desk {
	desk, err := handover.Open(s.publisher.StateDir())
	if err != nil {
		s.log.WarnContext(ctx, "producer publish cannot hand over to this process", "error", err)
		return nil
	}
	return desk
}

// office works for those who hand over to serve.
type office struct {
	*session
	terms   map[string]string
	private []publish.Private
}

// work is a [handover.Work].
func (f *office) work(ctx context.Context, request json.RawMessage) handover.Outcome {
	rep, err := f.publish(ctx, request)
	if err != nil && ctx.Err() != nil {
		err = daemon.WithCode(daemon.ExitInterrupted, context.Cause(ctx)) // whatever it was in the middle of
	}
	if err != nil {
		err = coded(err)
		f.log.Warn("what was handed over to this process is not published", "channel", f.channel.Salt, "error", err)
		return handover.Outcome{Error: err.Error(), Exit: int(daemon.ExitOf(err))}
	}
	result, err := json.Marshal(rep)
	if err != nil {
		return handover.Outcome{Error: err.Error(), Exit: int(daemon.ExitOther)}
	}
	return handover.Outcome{Result: result}
}

func (f *office) publish(ctx context.Context, request json.RawMessage) (publish.Report, error) {
	var o order
	if err := json.Unmarshal(request, &o); err != nil {
		return publish.Report{}, daemon.Usagef("the order cannot be read: %w", err)
	}
	if err := f.check(o); err != nil {
		return publish.Report{}, err
	}
	src, err := f.source(ctx, o)
	if err != nil {
		return publish.Report{}, err
	}
	f.log.InfoContext(ctx, "a running serve publishes this", "channel", f.channel.Salt, "source", src.Path)
	return f.publisher.Publish(ctx, publish.Request{Source: src, Height: o.Height, Force: o.Force, DropCanceled: true})
}

func (f *office) source(ctx context.Context, o order) (publish.Source, error) {
	if o.Placeholder > 0 {
		return publish.Placeholder(o.Placeholder, 0), nil
	}
	if err := publish.CheckPrivate(ctx, o.Path, f.private); err != nil {
		return publish.Source{}, err
	}
	return publish.OpenSource(ctx, o.Path)
}

// check refuses what would come out differently from what was asked for.
func (f *office) check(o order) error {
	if ch := f.channel.String(); o.Channel != ch {
		return daemon.Usagef("the running serve publishes on %s, not on %s", ch, o.Channel)
	}
	if o.Placeholder == 0 && !filepath.IsAbs(o.Path) {
		return daemon.Usagef("%q is no absolute path", o.Path)
	}
	var differ []string
	for key, value := range o.Terms {
		if f.terms[key] != value {
			differ = append(differ, fmt.Sprintf("%s (%q, there %q)", key, value, f.terms[key]))
		}
	}
	if len(differ) == 0 {
		return nil
	}
	slices.Sort(differ)
	return daemon.Usagef("a running serve has the channel and would publish this with settings of its own: %s; "+
		"leave them out, or stop it first", strings.Join(differ, ", "))
}
