package follow

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"snapswarm/common/daemon"
	"snapswarm/common/durable"
	"snapswarm/common/snapshot"
)

// Defaults of a [Config].
const (
	DefaultPollInterval = 10 * time.Minute
	DefaultStallTimeout = 5 * time.Minute
	DefaultFindTimeout  = 2 * time.Minute
)

// Config of a [Follower] and of [Once]. A zero duration means its default.
type Config struct {
	// Peer is this process in the swarm.
	Peer Peer
	// DataDir is where Peer keeps the versions.
	DataDir string
	// PollInterval is how often the pointer is looked for: from one search to the next no more time passes, and up to a fifth less, so
	// that mirrors do not act in step.
	PollInterval time.Duration
	// Retain is how many versions stay beside the newest. With KeepPromised, others stay as well for the time that their
	// publisher signed, while the disk has room for two more of the newest.
	Retain       int
	KeepPromised bool
	// Extract unpacks what is complete, into ExtractDir/<salt>/<version>; an empty ExtractDir means DATA_DIR/<salt>/extracted.
	Extract    bool
	ExtractDir string
	// StallTimeout is how long nothing may arrive before that is a fault.
	StallTimeout time.Duration
	// FindTimeout is how long Once looks for a pointer; AllowStale lets it take one that has expired, or one from an earlier run
	// when none is found. MaxAge refuses snapshots created longer ago; 0 accepts any.
	FindTimeout time.Duration
	AllowStale  bool
	MaxAge      time.Duration
	// Progress shows the work; Log gets what happened.
	Progress *daemon.Progress
	Log      *slog.Logger

	disks disks // nil: the system's
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		value *time.Duration
		def   time.Duration
	}{
		{&c.PollInterval, DefaultPollInterval}, {&c.StallTimeout, DefaultStallTimeout}, {&c.FindTimeout, DefaultFindTimeout},
	} {
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	if c.disks == nil {
		c.disks = durable.FreeSpace
	}
	return c
}

// Follower keeps the newest snapshots of channels here.
type Follower struct{ channels []*channel }

// New prepares to follow channels, whose salts differ.
func New(cfg Config, channels []snapshot.Channel) *Follower {
	cfg = cfg.withDefaults()
	f := new(Follower)
	for _, ch := range channels {
		f.channels = append(f.channels, newChannel(cfg, ch))
	}
	return f
}

// Run follows the channels until ctx ends, which is no error. Whatever goes wrong with a channel is retried for ever and
// shown in its [Status].
func (f *Follower) Run(ctx context.Context) error {
	registration, err := observe(f)
	if err != nil {
		return fmt.Errorf("metrics of the mirror: %w", err)
	}
	var loops sync.WaitGroup
	for _, c := range f.channels {
		loops.Go(func() { c.run(ctx) })
	}
	loops.Wait()
	return registration.Unregister()
}

// Status is how each channel is doing, in the order given. It may be called at any time from any goroutine.
func (f *Follower) Status() []Status {
	out := make([]Status, 0, len(f.channels))
	for _, c := range f.channels {
		out = append(out, c.now())
	}
	return out
}

// Report adds a check for each channel to h: alive while its loop turns, ready when [Status.Ready] says so.
func (f *Follower) Report(h *daemon.Health) {
	for _, c := range f.channels {
		h.Live("loop "+c.ch.Salt, func(context.Context) (string, error) {
			quiet := time.Since(c.now().Beat).Truncate(time.Second)
			if quiet > silence {
				return "", fmt.Errorf("has not turned for %s", quiet)
			}
			return "turning", nil
		})
		h.Ready("channel "+c.ch.Salt, func(context.Context) (string, error) {
			s := c.now()
			return s.String(), s.Ready()
		})
	}
}

func (c *channel) now() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}
