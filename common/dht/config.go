package dht

import (
	"log/slog"
	"net"
	"time"
)

// Defaults of a [Config].
const (
	DefaultQueryTimeout = 3 * time.Second
	DefaultMaxItems     = 10_000
	DefaultMaxTorrents  = 5_000
)

const (
	maxContacts   = 512
	maxPending    = 256   // queries of others waiting for an answer, and greetings to be made
	maxSources    = 4096  // sources whose queries and puts are counted
	queriesAtOnce = 200   // queries of one source at once
	queriesPerSec = 50.0  // and steadily
	putsAtOnce    = 64    // puts and announces of one source at once
	putsPerSecond = 2.0   // and steadily
	sendsPerSec   = 250.0 // queries of ours
	repliesPerSec = 1000.0
)

// Config is what a [Node] works with.
type Config struct {
	// Conn is an IPv4 UDP socket, bound by the caller to the port on which the torrent client listens
	// for TCP. After New succeeded it belongs to the node, which closes it.
	Conn net.PacketConn
	// Bootstrap are nodes to begin with, as host:port. Nil means the public routers, or none when
	// Private; an empty slice means none.
	Bootstrap []string
	// StateDir holds what survives a restart. It is created; empty means that nothing does.
	StateDir string
	// Private makes a DHT of loopback and private addresses (RFC 1918, RFC 6598), and of nothing else.
	// IDs are then not bound to addresses (BEP 42).
	Private bool
	// ReadOnly asks others not to remember this node (BEP 43). For programs that end in a moment.
	ReadOnly bool
	// Log gets what an operator should know. Nil means no log.
	Log *slog.Logger
	// QueryTimeout is how long another node may take to answer. After a sixth of it the query is sent
	// again, and after a third a lookup goes on without the answer. 0 means [DefaultQueryTimeout].
	QueryTimeout time.Duration
	// MaxItems and MaxTorrents bound what is kept for others. 0 means [DefaultMaxItems] and
	// [DefaultMaxTorrents].
	MaxItems, MaxTorrents int
	// Now is the clock by which stored things expire; nil means time.Now.
	Now func() time.Time
}

func (cfg *Config) applyDefaults() {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.QueryTimeout == 0 {
		cfg.QueryTimeout = DefaultQueryTimeout
	}
	if cfg.MaxItems == 0 {
		cfg.MaxItems = DefaultMaxItems
	}
	if cfg.MaxTorrents == 0 {
		cfg.MaxTorrents = DefaultMaxTorrents
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Bootstrap == nil && !cfg.Private {
		cfg.Bootstrap = publicRouters()
	}
}

// soft is after how long a query no longer holds up anything.
func (cfg *Config) soft() time.Duration { return cfg.QueryTimeout / 3 }
