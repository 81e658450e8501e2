package peer

import (
	"errors"

	"snapswarm/common/daemon"
)

// Care is how a process that stays looks after what it keeps. A command embeds it.
type Care struct {
	ScrubRate ScrubRate `env:"SCRUB_RATE" envDefault:"8MiB/s" group:"Disk" value:"RATE" help:"how much of what is kept is read and hashed again in the background, over all snapshots, to find what rotted on disk; 0: nothing"`
}

// ScrubRate is bytes per second; 0 is none, where other rates have no limit then.
type ScrubRate int64

// UnmarshalText parses a rate such as "8MiB/s", or "off".
func (r *ScrubRate) UnmarshalText(text []byte) error {
	if string(text) == "off" {
		*r = 0
		return nil
	}
	var rate daemon.Rate
	err := rate.UnmarshalText(text)
	if err != nil || rate == 0 && string(text) != "0" {
		return errors.New(`want a rate such as "8MiB/s" or "100Mbit/s", or "0" for none`)
	}
	*r = ScrubRate(rate)
	return nil
}
