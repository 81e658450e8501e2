package main

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"snapswarm/common/daemon"
	"snapswarm/common/peer"
	"snapswarm/mirror/follow"
)

// Config is everything that the command can be told.
type Config struct {
	peer.Settings

	Retain         Retain        `env:"RETAIN" envDefault:"auto" group:"Mirror" value:"COUNT" help:"old versions that stay beside the newest; auto: one, and more for as long as their publisher promised while the disk has room"`
	StallTimeout   time.Duration `env:"STALL_TIMEOUT" envDefault:"5m" help:"how long no data may arrive before that is an error"`
	Extract        bool          `env:"EXTRACT" envDefault:"false" help:"unpack each version when it is complete; the archive is kept"`
	ExtractDir     string        `env:"EXTRACT_DIR" value:"DIR" help:"where to unpack, as DIR/SALT/VERSION; default: DATA_DIR/SALT/extracted/VERSION"`
	Once           bool          `env:"ONCE" envDefault:"false" group:"One shot" help:"get the newest version, print its path, end"`
	PointerTimeout time.Duration `env:"POINTER_TIMEOUT" envDefault:"2m" help:"with ONCE: how long to look for a pointer"`
	AllowStale     bool          `env:"ALLOW_STALE" envDefault:"false" help:"with ONCE: take a pointer that has expired, or the last one known when none is found"`
	MaxAge         time.Duration `env:"MAX_AGE" envDefault:"0" help:"with ONCE: refuse a snapshot that was created longer ago; 0: any age"`
}

// Validate implements what package daemon calls before the command runs.
func (c *Config) Validate() error {
	if _, err := c.Wanted(); err != nil {
		return err
	}
	if err := c.CheckCourtesy(); err != nil {
		return err
	}
	if c.PollInterval < time.Second || c.StallTimeout < time.Second || c.PointerTimeout < time.Second {
		return errors.New("POLL_INTERVAL, STALL_TIMEOUT and POINTER_TIMEOUT must be at least 1s")
	}
	return nil
}

// pointerless reports whether neither the DHT nor a bucket is to be asked for pointers.
func (c *Config) pointerless() bool {
	return c.DHTBootstrap != nil && len(c.DHTBootstrap) == 0 && len(c.BucketURL) == 0
}

// Patience with peers before the bucket is used regardless of them: who waits for one file has less of it.
const (
	patienceDaemon = 2 * time.Minute
	patienceOnce   = 5 * time.Second
)

// settings are those of package peer, with the defaults of this command.
func (c *Config) settings() peer.Settings {
	s := c.Settings
	s.Brief = c.Once
	if c.Once { // it ends in a moment
		s.ScrubRate = 0
	}
	if s.OriginPatience == 0 {
		s.OriginPatience = patienceDaemon
		if c.Once {
			s.OriginPatience = patienceOnce
		}
	}
	return s
}

// follow is the configuration of package follow.
func (c *Config) follow(p *peer.Peer, progress *daemon.Progress, log *slog.Logger) (follow.Config, error) {
	out := follow.Config{
		Peer: follow.Over(p), DataDir: p.DataDir(), PollInterval: c.PollInterval,
		Retain: c.Retain.Count, KeepPromised: c.Retain.Promised,
		Extract: c.Extract, StallTimeout: c.StallTimeout,
		FindTimeout: c.PointerTimeout, AllowStale: c.AllowStale, MaxAge: c.MaxAge,
		Progress: progress, Log: log,
	}
	if c.ExtractDir == "" {
		return out, nil
	}
	var err error
	if out.ExtractDir, err = filepath.Abs(c.ExtractDir); err != nil {
		return out, fmt.Errorf("EXTRACT_DIR: %w", err)
	}
	return out, nil
}

// Retain is how many old versions stay: a number, or "auto".
type Retain struct {
	Count    int
	Promised bool // also what the publisher promised to keep, while there is room
}

// UnmarshalText accepts "auto" and whole numbers.
func (r *Retain) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == "auto" {
		*r = Retain{Count: 1, Promised: true}
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return errors.New("want auto or a number of versions, 0 or more")
	}
	*r = Retain{Count: n}
	return nil
}
