package pointer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"snapswarm/common/snapshot"
)

// Defaults of a [ResolverConfig].
const (
	DefaultGrace   = 2 * time.Second
	DefaultTimeout = 30 * time.Second
)

// ResolverConfig is what a [Resolver] works with.
type ResolverConfig struct {
	// Sources are asked all at once.
	Sources []Source
	// Ratchet remembers what was accepted. Nil means that nothing is remembered: only for programs
	// that look once and act on nothing.
	Ratchet *Ratchet
	// Grace is how long the others may still offer something newer once one source had an answer.
	// 0 means [DefaultGrace].
	Grace time.Duration
	// Timeout bounds the whole round. 0 means [DefaultTimeout].
	Timeout time.Duration
	// Log gets a line for each refused record, once. Nil means no log.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Resolver finds the newest record of a channel. It may be used by several goroutines.
type Resolver struct {
	cfg     ResolverConfig
	once    *onceLog
	metrics metrics
}

// NewResolver makes a resolver over the sources of cfg.
func NewResolver(cfg ResolverConfig) *Resolver {
	if cfg.Grace == 0 {
		cfg.Grace = DefaultGrace
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Resolver{cfg: cfg, once: newOnceLog(cfg.Log), metrics: newMetrics()}
}

// Resolve asks all sources at once and returns the valid record with the highest sequence number,
// after the ratchet has it on disk. It returns as soon as all have answered, or [ResolverConfig.Grace]
// after the first answer that may be followed.
//
// The error wraps [ErrNotFound] when no source had anything, [ErrAllRefused] (and the reason of each
// refusal) when everything found was refused, ctx's error when ctx ended, or says that the disk
// refused. Beside [ErrNotFound] and [ErrAllRefused] the Resolution still holds what an earlier round
// accepted, if any: look at [Resolution.Known].
func (r *Resolver) Resolve(ctx context.Context, ch snapshot.Channel) (Resolution, error) {
	began := time.Now()
	round, err := r.newRound(ch)
	if err != nil {
		return Resolution{}, err
	}
	r.ask(ctx, round)
	err = r.decide(round)
	if ctx.Err() != nil && err != nil {
		err = fmt.Errorf("find pointer of %s: %w", ch.Salt, ctx.Err())
	}
	for _, refusal := range round.result.Refused {
		r.once.refused(ctx, ch, refusal)
	}
	r.metrics.round(ctx, round, time.Since(began), err)
	return round.result, err
}

// ask collects answers into round until it is time to decide.
func (r *Resolver) ask(ctx context.Context, round *round) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	replies := make(chan reply, len(r.cfg.Sources))
	for i, s := range r.cfg.Sources {
		go func() { replies <- lookup(ctx, i, s, round.ch) }()
	}
	var grace <-chan time.Time
	pending := len(r.cfg.Sources)
	for waiting := true; waiting && pending > 0; {
		select {
		case rep := <-replies:
			pending--
			if round.add(rep) && grace == nil {
				grace = time.After(r.cfg.Grace)
			}
		case <-grace:
			waiting = false
		case <-ctx.Done():
			waiting = false
		}
	}
	late := ctx.Err() == nil
	cancel()
	for ; pending > 0; pending-- { // wait for what was started
		round.addLate(<-replies, late)
	}
}

// reply is the answer of source number index.
type reply struct {
	index   int
	records []Record
	err     error
	took    time.Duration
}

func lookup(ctx context.Context, index int, s Source, ch snapshot.Channel) reply {
	began := time.Now()
	records, err := s.Lookup(ctx, ch)
	return reply{index: index, records: records[:min(len(records), MaxAnswers)], err: err, took: time.Since(began)}
}

// decide lets the ratchet accept the best candidate and fills round.result.
func (r *Resolver) decide(round *round) error {
	slices.SortStableFunc(round.candidates, func(a, b candidate) int { return cmp.Compare(b.Seq, a.Seq) })
	for _, c := range round.candidates {
		if round.result.Source != "" && c.Seq < round.result.Record.Seq {
			break // older than what another source offers: normal
		}
		if err := r.accept(round, c); err != nil {
			return err
		}
	}
	if round.result.Source != "" {
		return nil
	}
	if round.saved != nil {
		round.take(*round.saved, Saved)
	}
	return round.failure()
}

// accept follows c or refuses it; an error means that the disk refused.
func (r *Resolver) accept(round *round, c candidate) error {
	err := r.ratchet(round, c.Record)
	switch {
	case err == nil:
		if round.result.Source == "" {
			round.result.Changed = round.saved == nil || !c.Equal(*round.saved)
			round.take(c.Record, c.source)
		}
		return nil
	case errors.Is(err, ErrOlder), errors.Is(err, ErrConflict):
		round.refuse(c.source, c.Record, err)
		return nil
	default:
		return fmt.Errorf("accept pointer of %s: %w", round.ch.Salt, err)
	}
}

func (r *Resolver) ratchet(round *round, rec Record) error {
	if r.cfg.Ratchet != nil {
		return r.cfg.Ratchet.Accept(round.ch, rec, round.now)
	}
	if best := round.result.Record; round.result.Source != "" && !best.Equal(rec) {
		return conflictError(best, rec)
	}
	return nil
}

// failure is the error of a round that found nothing to follow. It names every reason once.
func (round *round) failure() error {
	var reasons []string
	kind := ErrNotFound
	if len(round.result.Refused) > 0 {
		kind = ErrAllRefused
	}
	var causes []error
	for _, f := range round.result.Refused {
		reasons = append(reasons, f.Source+": "+f.Err.Error())
		causes = append(causes, f.Err)
	}
	for _, a := range round.result.Answers {
		switch {
		case a.Err != nil:
			reasons = append(reasons, a.Source+": "+a.Err.Error())
		case a.Records == 0 && !a.Late:
			reasons = append(reasons, a.Source+": has none")
		}
	}
	return &failure{
		text:   fmt.Sprintf("%s: channel %s: %s", kind, round.ch.Salt, strings.Join(slices.Compact(reasons), "; ")),
		causes: append(causes, kind),
	}
}

// failure reads as one line and still answers errors.Is for every reason in it.
type failure struct {
	text   string
	causes []error
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return f.causes }
