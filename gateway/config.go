package main

import (
	"errors"
	"fmt"
	"time"

	"snapswarm/common/daemon"
	"snapswarm/common/peer"
	"snapswarm/gateway/serve"
)

// Config is everything that the command can be told.
type Config struct {
	peer.Settings

	HTTPAddr  daemon.Addr `env:"HTTP_ADDR" envDefault:":8080" group:"HTTP" help:"where users are served; port 0: any"`
	PublicURL string      `env:"PUBLIC_URL" value:"URL" help:"address that users reach this gateway at, for the links and commands it shows; default: http:// and the host they asked for"`
}

// Validate implements what package daemon calls before the command runs.
func (c *Config) Validate() error {
	if _, err := c.Wanted(); err != nil {
		return err
	}
	if err := c.CheckCourtesy(); err != nil {
		return err
	}
	if _, err := serve.ParsePublicURL(c.PublicURL); err != nil {
		return fmt.Errorf("PUBLIC_URL: %w", err)
	}
	if c.PollInterval < time.Second {
		return errors.New("POLL_INTERVAL must be at least 1s")
	}
	return nil
}
