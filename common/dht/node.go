package dht

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Node is a node of the DHT. All methods may be called by several goroutines, from New until Close.
// It answers others as soon as New returned; [Node.Run] makes it join and stay.
type Node struct {
	cfg       Config
	id        id
	bootstrap []hostPort
	saved     []contact // nodes of an earlier run, not asked yet

	socket    *socket
	exchanges *exchanges
	sends     *rate.Limiter // of our queries
	book      *book
	outside   *outside
	metrics   *metrics
	began     time.Time

	// What others ask of us.
	queries   chan query
	greetings chan netip.AddrPort
	items     *itemStore
	peers     *peerStore
	tokens    tokens
	askers    *limiter
	putters   *limiter
	replies   *rate.Limiter

	ctx    context.Context // ends with Close: work belongs to the node, not to a caller
	stop   context.CancelFunc
	once   sync.Once
	failed error // of Close; written within once

	mu     sync.Mutex
	closed bool           // guarded by mu
	wg     sync.WaitGroup // everything that was started; added to under mu, while not closed

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
	n := newNode(cfg, saved)
	n.bootstrap = bootstrap
	n.start()
	return n, nil
}

// newNode makes a node that does nothing yet.
func newNode(cfg Config, saved table) *Node {
	n := &Node{
		cfg: cfg, id: nodeID(saved, cfg.Private), saved: saved.nodes,
		exchanges: newExchanges(),
		sends:     rate.NewLimiter(sendsPerSec, int(sendsPerSec)),
		outside:   newOutside(saved.outside),
		began:     time.Now(),

		queries:   make(chan query, maxPending),
		greetings: make(chan netip.AddrPort, maxPending),
		items:     newItemStore(cfg.MaxItems, cfg.Now),
		peers:     newPeerStore(cfg.MaxTorrents, cfg.Now),
		tokens:    newTokens(cfg.Now),
		askers:    newLimiter(queriesAtOnce, queriesPerSec, maxSources),
		putters:   newLimiter(putsAtOnce, putsPerSecond, maxSources),
		replies:   rate.NewLimiter(repliesPerSec, int(repliesPerSec)),
		resolved:  resolved{turn: make(chan struct{}, 1)},
	}
	n.book = newBook(n.id, maxContacts, cfg.Private, cfg.Now)
	n.ctx, n.stop = context.WithCancel(context.Background())
	n.metrics = newMetrics(n.Stats)
	n.socket = &socket{conn: cfg.Conn, reach: reach{private: cfg.Private}, metrics: n.metrics}
	return n
}

// start begins to listen and to answer.
func (n *Node) start() {
	n.spawn(func() { n.socket.receive(n.ctx, n.handle) })
	for range 2 {
		n.spawn(n.answerAll)
	}
	for range 4 {
		n.spawn(n.greetAll)
	}
}

// spawn runs f in a goroutine that Close waits for, unless the node is closed.
func (n *Node) spawn(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.wg.Go(f)
	}
}

// Name is "dht".
func (n *Node) Name() string { return "dht" }

// ID is the node's place in the DHT.
func (n *Node) ID() [20]byte { return n.id }

// Addr is the address of the socket.
func (n *Node) Addr() netip.AddrPort { return addrPort(n.cfg.Conn.LocalAddr()) }

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
		_ = n.cfg.Conn.Close() // an error would say that somebody else closed it
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
