package peer

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"snapswarm/common/daemon"
	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

// Settings are what every command needs to take part in the swarm. A command embeds them.
type Settings struct {
	daemon.Common
	Courtesy

	DownloadLimit  daemon.Rate        `env:"DOWNLOAD_LIMIT" envDefault:"0" group:"Network" value:"RATE" help:"most that is fetched from peers and buckets; 0: no limit"`
	OriginPolicy   swarm.OriginPolicy `env:"ORIGIN_POLICY" envDefault:"shared" group:"Network" value:"POLICY" help:"shared: take from the bucket what no peer has; always: whatever is missing; never"`
	OriginPatience time.Duration      `env:"ORIGIN_PATIENCE" envDefault:"0" group:"Network" help:"time without progress after which the bucket is used regardless of peers; 0: the command's own default"`

	Care

	// Brief is set by commands that end in a moment: DHT nodes need not remember them.
	Brief bool
}

// Courtesy is how a process treats other peers: how much it gives, how many it talks to, whom it avoids and where it asks for more.
type Courtesy struct {
	UploadLimit    daemon.Rate `env:"UPLOAD_LIMIT" envDefault:"0" group:"Network" value:"RATE" help:"most that is sent to peers, such as 10MiB/s; 0: no limit"`
	MaxPeers       int         `env:"MAX_PEERS" envDefault:"60" help:"most peers per snapshot"`
	MaxConnections int         `env:"MAX_CONNECTIONS" envDefault:"500" help:"most connections to peers in all; SEED_PEERS come on top"`
	MaxHalfOpen    int         `env:"MAX_HALF_OPEN" envDefault:"50" help:"most connections to peers that are being opened at once"`
	IPBlocklist    string      `env:"IP_BLOCKLIST" value:"FILE" help:"addresses that no peer may have: lines of P2P format (who:FIRST-LAST), networks or addresses; read at the start"`
	Trackers       daemon.List `env:"TRACKERS" value:"URL,..." help:"trackers to announce to and to ask for peers, http://, https:// or udp://; default: none, the DHT does"`
}

// CheckCourtesy returns what can be seen to be wrong without any file. A command's Validate calls it.
func (c *Courtesy) CheckCourtesy() error {
	if c.MaxPeers < 1 || c.MaxConnections < 1 || c.MaxHalfOpen < 1 {
		return errors.New("MAX_PEERS, MAX_CONNECTIONS and MAX_HALF_OPEN must be at least 1")
	}
	for _, t := range c.Trackers {
		if err := swarm.CheckTracker(t); err != nil {
			return fmt.Errorf("TRACKERS %q: %w", t, err)
		}
	}
	return nil
}

// blocklist reads the file, nil if there is none.
func (c *Courtesy) blocklist() (*swarm.Blocklist, error) {
	if c.IPBlocklist == "" {
		return nil, nil //nolint:nilnil // nil is a list that blocks nobody
	}
	list, err := swarm.OpenBlocklist(c.IPBlocklist)
	if err != nil {
		return nil, daemon.Usagef("IP_BLOCKLIST: %w", err)
	}
	return list, nil
}

// Wanted are the channels that the settings name, checked.
func (s *Settings) Wanted() ([]snapshot.Channel, error) {
	channels, err := s.parseChannels()
	if err != nil {
		return nil, daemon.Usagef("%w", err)
	}
	if len(channels) == 0 {
		return nil, daemon.Usagef("no channel given: set CHANNEL to a link magnet:?xs=urn:btpk:...&s=..., or AUTHORITY_PUBKEY and DHT_SALT")
	}
	if err := snapshot.CheckDistinctSalts(channels); err != nil {
		return nil, daemon.Usagef("CHANNEL: %w", err)
	}
	return channels, nil
}

func (s *Settings) parseChannels() ([]snapshot.Channel, error) {
	var channels []snapshot.Channel
	for _, link := range s.Channel {
		ch, err := snapshot.ParseChannel(link)
		if err != nil {
			return nil, fmt.Errorf("CHANNEL: %w", err)
		}
		channels = append(channels, ch)
	}
	if s.AuthorityPubkey == "" {
		return channels, nil
	}
	key, err := snapshot.ParseKey(s.AuthorityPubkey)
	if err != nil {
		return nil, fmt.Errorf("AUTHORITY_PUBKEY: %w", err)
	}
	if len(channels) > 0 {
		return channels, agree(channels, key)
	}
	ch, err := snapshot.NewChannel(key, s.DHTSalt)
	if err != nil {
		return nil, fmt.Errorf("DHT_SALT: %w", err)
	}
	return append(channels, ch), nil
}

// agree refuses an AUTHORITY_PUBKEY that contradicts CHANNEL: nobody knows which of them the operator meant.
func agree(channels []snapshot.Channel, key ed25519.PublicKey) error {
	if slices.ContainsFunc(channels, func(ch snapshot.Channel) bool { return bytes.Equal(ch.Key[:], key) }) {
		return nil
	}
	return errors.New("CHANNEL and AUTHORITY_PUBKEY name different keys: remove one of them")
}
