package dht

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/anacrolix/dht/v2"
	"github.com/anacrolix/dht/v2/krpc"
	alog "github.com/anacrolix/log"
	"golang.org/x/time/rate"
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
	maxPutters    = 4096  // addresses whose puts are counted
	putsAtOnce    = 64    // puts and announces of one address at once
	putsPerSecond = 2.0   // and steadily
	sends         = 2     // of a query until it is given up
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
	// Log gets what an operator should know. Nil means no log.
	Log *slog.Logger
	// QueryTimeout is how long another node may take to answer; after half of it the query is sent
	// again, since a small network has nobody else to ask. 0 means [DefaultQueryTimeout].
	QueryTimeout time.Duration
	// MaxItems and MaxTorrents bound what is kept for others. 0 means [DefaultMaxItems] and
	// [DefaultMaxTorrents].
	MaxItems, MaxTorrents int
	// Now is the clock by which stored things expire; nil means time.Now.
	Now func() time.Time
}

// Node is a node of the DHT. All methods may be called by several goroutines, from New until Close.
// It answers others as soon as New returned; [Node.Run] makes it join and stay.
type Node struct {
	cfg       Config
	id        id
	bootstrap []hostPort
	saved     []contact // nodes of an earlier run, not asked yet

	conn    *wall
	server  *dht.Server
	book    *book
	outside *outside
	items   *itemStore
	peers   *peerStore
	tokens  tokens
	putters *limiter
	replies *rate.Limiter
	metrics *metrics
	began   time.Time

	queries   chan query
	greetings chan netip.AddrPort

	ctx    context.Context // ends with Close: work belongs to the node, not to a caller
	stop   context.CancelFunc
	once   sync.Once
	failed error // of Close; written within once

	mu     sync.Mutex
	closed bool           // guarded by mu
	wg     sync.WaitGroup // everything that New and Run started; added to under mu, while not closed

	resolved resolved
}

// New starts a node on cfg.Conn. When it fails, the socket still belongs to the caller.
func New(cfg Config) (*Node, error) {
	cfg.applyDefaults()
	bootstrap, err := parseHostPorts(cfg.Bootstrap)
	if err != nil {
		return nil, fmt.Errorf("start DHT node: %w", err)
	}
	saved, err := loadTable(cfg)
	if err != nil {
		return nil, fmt.Errorf("start DHT node: %w", err)
	}
	n := &Node{
		cfg: cfg, bootstrap: bootstrap, saved: saved.nodes,
		id:      nodeID(saved, cfg.Private),
		outside: newOutside(saved.outside),
		items:   newItemStore(cfg.MaxItems, cfg.Now),
		peers:   newPeerStore(cfg.MaxTorrents, cfg.Now),
		tokens:  newTokens(cfg.Now),
		putters: newLimiter(putsAtOnce, putsPerSecond, maxPutters),
		replies: rate.NewLimiter(repliesPerSec, int(repliesPerSec)),
		began:   time.Now(),

		queries:   make(chan query, maxPending),
		greetings: make(chan netip.AddrPort, maxPending),
		resolved:  resolved{turn: make(chan struct{}, 1)},
	}
	n.book = newBook(n.id, maxContacts, cfg.Now)
	n.ctx, n.stop = context.WithCancel(context.Background())
	if err := n.start(); err != nil {
		n.stop()
		return nil, fmt.Errorf("start DHT node: %w", err)
	}
	return n, nil
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

// start begins to listen and to answer.
func (n *Node) start() (err error) {
	n.metrics = newMetrics(n.Stats)
	n.conn = newWall(n.cfg.Conn, reach{private: n.cfg.Private}, n.metrics)
	n.server, err = dht.NewServer(&dht.ServerConfig{
		NodeId:           krpc.ID(n.id),
		Conn:             n.conn,
		NoSecurity:       n.cfg.Private,
		StartingNodes:    n.startingNodes,
		OnQuery:          n.onQuery,
		QueryResendDelay: func() time.Duration { return n.cfg.QueryTimeout / sends },
		PeerStore:        n.peers,
		Store:            closedStore{},
		Exp:              itemTTL,
		DefaultWant:      []krpc.Want{krpc.WantNodes},
		SendLimiter:      rate.NewLimiter(sendsPerSec, int(sendsPerSec)),
		Logger:           silentLogger(),
	})
	if err != nil {
		n.metrics.close()
		return err
	}
	for range 2 {
		n.spawn(n.answerAll)
	}
	for range 4 {
		n.spawn(n.greetAll)
	}
	return nil
}

// spawn runs f in a goroutine that Close waits for, unless the node is closed.
func (n *Node) spawn(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.wg.Go(f)
	}
}

// silentLogger keeps the library from writing to standard error.
func silentLogger() alog.Logger {
	l := alog.NewLogger("dht")
	l.SetHandlers()
	return l
}

// Name is "dht".
func (n *Node) Name() string { return "dht" }

// Server is the library's node, for the torrent client to announce and find peers through. It ends
// with [Node.Close]; do not close it, and do not put items through it.
func (n *Node) Server() *dht.Server { return n.server }

// Stats is what a node knows and keeps.
type Stats struct {
	// Nodes is how many other nodes answered lately.
	Nodes int
	// Items and Torrents are how many items, and torrents with peers, are kept for others.
	Items, Torrents int
	// Outside is the address under which others see this node; invalid when not known yet.
	Outside netip.Addr
}

// Stats returns the present figures.
func (n *Node) Stats() Stats {
	return Stats{Nodes: n.book.len(), Items: n.items.len(), Torrents: n.peers.len(), Outside: n.outside.address()}
}

// Close saves the nodes that are known, ends everything that is under way and closes the socket,
// without waiting for anybody's answer.
func (n *Node) Close() error {
	n.once.Do(func() {
		n.mu.Lock()
		n.closed = true
		n.mu.Unlock()
		n.stop()
		n.server.Close()
		<-n.conn.closed
		n.wg.Wait()
		n.metrics.close()
		n.failed = n.save()
	})
	return n.failed
}

// bound ties an operation to the life of the node as well as to its caller.
func (n *Node) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if n.ctx.Err() != nil {
		cancel(ErrClosed) // AfterFunc would do it a little later
	}
	release := context.AfterFunc(n.ctx, func() { cancel(ErrClosed) })
	return ctx, func() {
		release()
		cancel(nil)
	}
}

// ErrClosed means that the node was closed meanwhile.
var ErrClosed = errors.New("DHT node is closed")

// errSilent means a reply without what every reply has.
var errSilent = errors.New("reply says nothing")

// ask sends a query. Who answers it enters the book.
func (n *Node) ask(ctx context.Context, c contact, q string, args krpc.MsgArgs) (reached, error) {
	res := n.server.Query(ctx, dht.NewAddr(net.UDPAddrFromAddrPort(c.addr)), q, dht.QueryInput{MsgArgs: args, NumTries: sends})
	switch r := res.Reply.R; {
	case res.Err != nil:
		if errors.Is(res.Err, dht.TransactionTimeout) {
			n.book.failed(c.addr)
		}
		return reached{}, res.Err
	case res.Reply.E != nil:
		return reached{}, *res.Reply.E
	case r == nil || r.ID.IsZero() || id(r.ID) == n.id:
		return reached{}, errSilent
	default:
		got := reached{contact: contact{id: id(r.ID), addr: c.addr}, reply: r}
		n.book.replied(got.contact)
		n.outside.vote(c.addr.Addr(), compactAddr(res.Reply.IP.IP, 1).Addr())
		return got, nil
	}
}

func (n *Node) ping(ctx context.Context, addr netip.AddrPort) {
	_, _ = n.ask(ctx, contact{addr: addr}, "ping", krpc.MsgArgs{})
}

// greetAll asks nodes that spoke first whether they can be reached.
func (n *Node) greetAll() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case addr := <-n.greetings:
			n.ping(n.ctx, addr)
		}
	}
}
