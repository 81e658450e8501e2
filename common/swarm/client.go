package swarm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"

	"github.com/anacrolix/torrent"
	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"snapswarm/common/snapshot"
)

// ErrClosed is returned by what was interrupted by Close or Remove.
var ErrClosed = errors.New("swarm client is closed")

// Prefixes of peer ids (BEP 20). Mirrors recognise by them whom they share an origin with.
const (
	mirrorPrefix   = "-SW0100-"
	peersOnlyPrefx = "-SW010N-" // takes nothing from origins
)

// Client is one BitTorrent node with any number of snapshots. Close it when done.
type Client struct {
	config   Config
	log      *slog.Logger
	library  *torrent.Client
	tcp      net.Listener
	metrics  *metrics
	download *rate.Limiter // nil: unlimited
	peers    *connections
	met      *acquaintances
	memory   *semaphore.Weighted // bytes of pieces from origins
	scrubber *scrubber           // nil: nothing is read again
	named    seedPeers

	unobserve func() error // ends the callback of the instruments

	mu        sync.Mutex // guards what follows
	snapshots map[snapshot.InfoHash]*Snapshot
	adding    map[snapshot.InfoHash]struct{}
	closed    bool
}

// New starts a client. ctx is for binding the socket alone. Errors wrap [ErrPortTaken] where that is the reason.
func New(ctx context.Context, config Config) (*Client, error) {
	config = config.withDefaults()
	m, err := newMetrics()
	if err != nil {
		return nil, err
	}
	c := &Client{
		config: config, log: config.Log, metrics: m,
		download:  newLimiter(config.DownloadLimit),
		met:       newAcquaintances(),
		memory:    semaphore.NewWeighted(max(config.tuning.memory, snapshot.MaxForeignPieceLength)),
		scrubber:  newScrubber(config.ScrubRate),
		snapshots: make(map[snapshot.InfoHash]*Snapshot),
		adding:    make(map[snapshot.InfoHash]struct{}),
	}
	c.peers = &connections{limit: c.download, most: int64(config.MaxConnections)}
	if c.tcp, err = listenTCP(ctx, config); err != nil {
		return nil, err
	}
	if c.library, err = torrent.NewClient(c.libraryConfig()); err != nil {
		return nil, errors.Join(fmt.Errorf("start torrent client: %w", err), c.tcp.Close())
	}
	c.library.AddDialer(&peerDialer{connections: c.peers, allowPrivate: config.AllowPrivate, named: c.named.contains})
	c.library.AddListener(peerListener{c.tcp, c.peers})
	if config.DHT != nil {
		c.library.AddDhtServer(dhtServer{config.DHT})
	}
	if c.unobserve, err = m.observe(c); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func listenTCP(ctx context.Context, config Config) (net.Listener, error) {
	if config.Listeners != nil {
		return config.Listeners.TCP, nil
	}
	lc := net.ListenConfig{KeepAlive: -1}
	tcp, err := lc.Listen(ctx, "tcp", config.ListenAddr)
	if err != nil {
		return nil, listenError("tcp", config.ListenAddr, err)
	}
	return tcp, nil
}

// libraryConfig switches off all that the library would do by itself: sockets, DHT node, webseeds, announcements, storage.
func (c *Client) libraryConfig() *torrent.ClientConfig {
	cc := torrent.NewDefaultClientConfig()
	cc.Slogger = slog.New(quietHandler{c.log.Handler()})
	cc.DefaultStorage = noStorage{}
	cc.DisableTCP = true // its own sockets; ours are added
	cc.DisableUTP = true
	cc.NoDHT = true
	cc.PeriodicallyAnnounceTorrentsToDht = false
	cc.NoDefaultPortForwarding = true
	cc.DisableTrackers = len(c.config.Trackers) == 0
	cc.DisableWebtorrent = true
	cc.DisableWebseeds = true
	cc.DisableAcceptRateLimiting = true
	cc.Seed = true
	cc.Bep20 = mirrorPrefix
	if c.config.Origins == OriginNever {
		cc.Bep20 = peersOnlyPrefx
	}
	cc.ExtendedHandshakeClientVersion = c.config.UserAgent
	cc.HTTPUserAgent = c.config.UserAgent
	cc.EstablishedConnsPerTorrent = c.config.MaxPeers
	cc.TotalHalfOpenConns = c.config.MaxHalfOpen
	cc.HalfOpenConnsPerTorrent = min(cc.HalfOpenConnsPerTorrent, c.config.MaxHalfOpen)
	if c.config.Blocklist != nil {
		cc.IPBlocklist = ranger{c.config.Blocklist}
	}
	// The default of 10 per second for everything holds up a mirror with several snapshots.
	cc.DialRateLimiter = rate.NewLimiter(50, 100)
	if c.config.UploadLimit > 0 {
		// A burst of 0 lets the library choose one that fits its chunks.
		cc.UploadRateLimiter = rate.NewLimiter(rate.Limit(c.config.UploadLimit), 0)
	}
	c.met.listen(&cc.Callbacks)
	// Pieces may have 32 MiB, and several should be under way.
	cc.MaxUnverifiedBytes = 256 << 20
	cc.PieceHashersPerTorrent = max(2, runtime.GOMAXPROCS(0))
	return cc
}

// Port is the TCP port that peers connect to.
func (c *Client) Port() int {
	if a, ok := c.tcp.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// Addr is the TCP address that peers connect to.
func (c *Client) Addr() net.Addr { return c.tcp.Addr() }

// Snapshot returns an added snapshot.
func (c *Client) Snapshot(ih snapshot.InfoHash) (*Snapshot, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.snapshots[ih]
	return s, ok
}

// Snapshots are all that were added, in no order.
func (c *Client) Snapshots() []*Snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*Snapshot, 0, len(c.snapshots))
	for _, s := range c.snapshots {
		all = append(all, s)
	}
	return all
}

// Close ends all connections and brings all data to disk. It may take as long as the disk needs for that.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	for _, s := range c.Snapshots() {
		wg.Go(func() {
			err := s.close()
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	wg.Wait()
	// The library must know that it is closed before its listener is, else it accepts in a tight loop.
	errs = append(errs, c.library.Close()...)
	if c.unobserve != nil {
		errs = append(errs, c.unobserve())
	}
	if err := c.tcp.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// forget takes s out of the client.
func (c *Client) forget(s *Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.snapshots, s.torrent.InfoHash)
}

// BadPeers are the addresses that peers are banned from for sending wrong bytes.
func (c *Client) BadPeers() []string { return c.library.BadPeerIPs() }
