package swarm

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// OriginPolicy says when pieces are taken from origins.
type OriginPolicy string

const (
	// OriginShared takes from an origin what no peer has, in agreement with the other mirrors.
	OriginShared OriginPolicy = "shared"
	// OriginAlways takes whatever is missing from origins and peers alike, as fast as both give.
	OriginAlways OriginPolicy = "always"
	// OriginNever uses peers alone.
	OriginNever OriginPolicy = "never"
)

// UnmarshalText accepts the three policies.
func (p *OriginPolicy) UnmarshalText(b []byte) error {
	switch v := OriginPolicy(b); v {
	case OriginShared, OriginAlways, OriginNever:
		*p = v
		return nil
	default:
		return fmt.Errorf("origin policy %.20q: want shared, always or never", b)
	}
}

// Config of a [Client]. The zero value of a field means its default.
type Config struct {
	// DataDir is where a relative Dir of [AddOptions] begins. Default: the working directory.
	DataDir string
	// Listeners to use; the client closes their TCP socket, UDP stays the DHT's. Default: TCP on ListenAddr.
	Listeners *Listeners
	// ListenAddr is host:port; port 0 takes a free one. Unused if Listeners are given.
	ListenAddr string
	// DHT is the node to find and announce peers with (BEP 5). Default: none. It is not closed.
	DHT DHT
	// Trackers to announce to (BEP 3, BEP 15). Default: none.
	Trackers []string
	// SeedPeers, host:port each, are connected to for every snapshot and dialled again when lost. They may have private addresses.
	SeedPeers []string
	// AllowPrivate also dials peers of private and loopback addresses that were learned from others.
	AllowPrivate bool
	// MaxPeers per snapshot. Default 60.
	MaxPeers int
	// MaxConnections to peers of all snapshots, those without a handshake included. Seed peers are dialled beyond it. Default 500.
	MaxConnections int
	// MaxHalfOpen connections are being opened at once, over all snapshots. Default 50.
	MaxHalfOpen int
	// Blocklist are addresses that are neither dialled nor let in, not even seed peers. Default: none.
	Blocklist *Blocklist
	// UploadLimit and DownloadLimit in bytes per second, over all snapshots; downloads count peers and origins. 0: unlimited.
	UploadLimit, DownloadLimit int64
	// ScrubRate is how many bytes per second of what is present are read again, over all snapshots, to find what rotted on disk.
	// 0: nothing is.
	ScrubRate int64
	// Origins is the policy; default [OriginShared].
	Origins OriginPolicy
	// OriginPatience is how long peers may bring nothing before pieces are taken from an origin even if peers claim to have them.
	// Default one minute.
	OriginPatience time.Duration
	// HTTP asks origins. It decides which addresses may be dialled and whether redirects are followed; it must have no
	// total timeout (a stalled body is noticed here) and should keep several idle connections per host.
	// Default: http.DefaultClient.
	HTTP *http.Client
	// UserAgent names this program to origins and peers. Default "snapswarm".
	UserAgent string
	// Log gets what an operator should know; the library's own records come at debug level. Default: discarded.
	Log *slog.Logger

	tuning *tuning
}

// tuning are the figures that only tests change.
type tuning struct {
	open            func(path string) (dataFile, error)
	tick            time.Duration // how often decisions are reconsidered while something is missing
	flush           time.Duration // how often data goes to disk
	idle            time.Duration // in which at least some bytes of an origin's body must come
	overdue         time.Duration // of a request by another mirror, until it is known how long they take
	alive           time.Duration // a sign of life of a peer
	floor           float64       // bytes per second from all peers that are worth waiting for
	grace           time.Duration // in which a first peer may connect before origins are asked
	settle          time.Duration // without a new peer until the first are known
	hedge           time.Duration // a reader waits for peers until an origin is asked as well
	stuck           time.Duration // a piece is in flight from an origin until peers may bring it as well
	diskRetry       time.Duration // between attempts to write to a full disk
	backoff         backoffRange
	penance         backoffRange
	layer           time.Duration // a peer may take to send the v2 hashes of a hybrid torrent
	slots           int           // most requests to origins at once, per snapshot
	memory          int64         // bytes of pieces from origins in memory, all snapshots
	announce        backoffRange
	redial          backoffRange
	revisit         backoffRange  // between attempts to reach remembered peers while there is no other
	remember        time.Duration // how often peers are written down
	announceSettled time.Duration // between announcements while there are peers
	scrubRest       time.Duration // between two rounds of the scrubber over one snapshot
	scrubSave       time.Duration // between two times that it writes down how far it is
}

func defaultTuning() *tuning {
	return &tuning{
		open:            openData,
		tick:            250 * time.Millisecond,
		flush:           3 * time.Second,
		idle:            30 * time.Second,
		overdue:         3 * time.Second,
		alive:           10 * time.Second,
		floor:           32 << 10,
		grace:           2 * time.Second,
		settle:          300 * time.Millisecond,
		hedge:           time.Second,
		stuck:           10 * time.Second,
		diskRetry:       5 * time.Second,
		backoff:         backoffRange{first: time.Second, most: time.Minute, factor: 2},
		penance:         backoffRange{first: 30 * time.Second, most: time.Hour, factor: 4},
		layer:           3 * time.Second,
		slots:           4,
		memory:          256 << 20,
		announce:        backoffRange{first: 5 * time.Second, most: 2 * time.Minute, factor: 2},
		redial:          backoffRange{first: time.Second, most: time.Minute, factor: 2},
		revisit:         backoffRange{first: 2 * time.Second, most: 5 * time.Minute, factor: 2},
		remember:        15 * time.Second,
		announceSettled: 10 * time.Minute,
		scrubRest:       30 * time.Second,
		scrubSave:       time.Minute,
	}
}

// withDefaults fills in what is not set.
func (c Config) withDefaults() Config {
	if c.MaxPeers == 0 {
		c.MaxPeers = 60
	}
	if c.MaxConnections == 0 {
		c.MaxConnections = 500
	}
	if c.MaxHalfOpen == 0 {
		c.MaxHalfOpen = 50
	}
	if c.Origins == "" {
		c.Origins = OriginShared
	}
	if c.OriginPatience == 0 {
		c.OriginPatience = time.Minute
	}
	if c.HTTP == nil {
		c.HTTP = http.DefaultClient
	}
	if c.UserAgent == "" {
		c.UserAgent = "snapswarm"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.tuning == nil {
		c.tuning = defaultTuning()
	}
	return c
}
