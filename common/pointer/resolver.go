package pointer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"snapswarm/common/snapshot"
)

// Defaults of a [ResolverConfig].
const (
	DefaultWindow  = 2 * time.Second
	DefaultGrace   = 500 * time.Millisecond
	DefaultTimeout = 30 * time.Second
)

// ResolverConfig is what a [Resolver] works with.
type ResolverConfig struct {
	// Sources are asked all at once.
	Sources []Source
	// Ratchet remembers what was accepted. Nil means that nothing is remembered: only for programs
	// that look once and act on nothing.
	Ratchet *Ratchet
	// Window is how long after the start the others may still offer something newer once one source
	// had an answer. 0 means [DefaultWindow].
	Window time.Duration
	// Grace is how long they may at least, when that first answer came late. 0 means [DefaultGrace].
	Grace time.Duration
	// Timeout bounds how long one source is waited for. 0 means [DefaultTimeout].
	Timeout time.Duration
	// Log gets a line for each refused record, once. Nil means no log.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Resolver finds the newest record of a channel. It may be used by several goroutines. Close it when
// done: it may be asking slow sources in the background.
type Resolver struct {
	cfg     ResolverConfig
	once    *onceLog
	late    *lateAnswers
	metrics metrics
}

// NewResolver makes a resolver over the sources of cfg.
func NewResolver(cfg ResolverConfig) *Resolver {
	cfg.Window = cmp.Or(cfg.Window, DefaultWindow)
	cfg.Grace = cmp.Or(cfg.Grace, DefaultGrace)
	cfg.Timeout = cmp.Or(cfg.Timeout, DefaultTimeout)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Resolver{cfg: cfg, once: newOnceLog(cfg.Log), late: newLateAnswers(cfg.Timeout), metrics: newMetrics()}
}

// Close ends what is being asked in the background. Nothing may be resolved afterwards.
func (r *Resolver) Close() { r.late.close() }

// Resolve asks all sources at once and returns the valid record with the highest sequence number,
// after the ratchet has it on disk. It returns as soon as all have answered. Once one has offered a
// record that may be followed, the others get until [ResolverConfig.Window], and at least
// [ResolverConfig.Grace], so that a source that hangs delays nobody; those that needed longer are
// asked again in the background, and what they find counts in the next round.
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
	for _, rep := range r.late.take(ch) {
		round.consider(rep)
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
	limited, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	replies := make(chan reply, len(r.cfg.Sources))
	for i, s := range r.cfg.Sources {
		go func() { replies <- lookup(limited, i, s, round.ch) }()
	}
	began, pending := time.Now(), len(r.cfg.Sources)
	var end <-chan time.Time
	impatient := false
	for pending > 0 && !impatient && limited.Err() == nil {
		select {
		case rep := <-replies:
			pending--
			if round.add(rep) && end == nil {
				end = time.After(max(r.cfg.Window-time.Since(began), r.cfg.Grace))
			}
		case <-end:
			impatient = true
		case <-limited.Done():
		}
	}
	cancel()
	r.collect(round, replies, pending, impatient)
	if impatient {
		r.late.ask(r.cfg.Sources, round)
	}
}

// lastWords is how long a source that was told to stop may take to say what it has.
const lastWords = 300 * time.Millisecond

// collect takes in what the sources that are still pending had when they were told to stop. One that
// does not listen is left behind. With impatient, it is not their fault that they were told to.
func (r *Resolver) collect(round *round, replies <-chan reply, pending int, impatient bool) {
	if pending == 0 {
		return
	}
	enough := time.After(lastWords)
	for ; pending > 0; pending-- {
		select {
		case rep := <-replies:
			round.addLate(rep, impatient)
		case <-enough:
			return
		}
	}
}

// reply is the answer of source number index.
type reply struct {
	index   int
	source  string
	records []Record
	err     error
	took    time.Duration
}

func lookup(ctx context.Context, index int, s Source, ch snapshot.Channel) reply {
	began := time.Now()
	records, err := s.Lookup(ctx, ch)
	return reply{index: index, source: s.Name(), records: records[:min(len(records), MaxAnswers)], err: err, took: time.Since(began)}
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
		if e, ok := errors.AsType[*conflictError](err); ok {
			e.kept = cmp.Or(round.result.Source, Saved)
		}
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
		return &conflictError{conflict: conflict{first: best, second: rec}}
	}
	return nil
}
