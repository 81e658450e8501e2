package dht

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// ErrNoNodes means that no other node answered: the network is away, UDP is blocked, or there is no
// bootstrap node that lives.
var ErrNoNodes = errors.New("no DHT node answers")

// ErrAlone is the reason of ErrNoNodes when there is nobody to ask: no bootstrap node is configured,
// and nobody has come yet.
var ErrAlone = errors.New("none is configured or known")

const (
	// resolveAgain is how long the addresses of bootstrap nodes are believed.
	resolveAgain = 10 * time.Minute
	// resolveFor bounds how long they are asked for.
	resolveFor = 5 * time.Second
	// enough is how many nodes that answered lately a traversal begins with, without the others.
	enough = width
	// maxNear is how many nodes it begins with at most, so many that some live whatever happened.
	maxNear = 8 * width
)

// publicRouters are the well-known entry points of the mainline DHT.
func publicRouters() []string {
	return []string{
		"router.bittorrent.com:6881", "router.utorrent.com:6881",
		"dht.libtorrent.org:25401", "dht.transmissionbt.com:6881", "dht.aelitis.com:6881",
	}
}

// hostPort is a bootstrap node as configured.
type hostPort struct {
	host string
	port uint16
}

func parseHostPorts(list []string) ([]hostPort, error) {
	var parsed []hostPort
	for _, s := range list {
		host, portText, err := net.SplitHostPort(s)
		if err != nil {
			return nil, fmt.Errorf("bootstrap node %q: want host:port: %w", s, err)
		}
		port, err := strconv.ParseUint(portText, 10, 16)
		if err != nil || port == 0 || host == "" {
			return nil, fmt.Errorf("bootstrap node %q: want host:port", s)
		}
		parsed = append(parsed, hostPort{host: host, port: uint16(port)})
	}
	return parsed, nil
}

// resolved are the addresses of the bootstrap nodes. Whoever holds turn owns the rest.
type resolved struct {
	turn  chan struct{} // of size one, so that waiting for it can end with a context
	at    time.Time
	nodes []contact
}

// routers returns the addresses of the bootstrap nodes. Those that do not resolve, or that the
// node must not speak with, are left out; the error names them when nothing else is left.
func (n *Node) routers(ctx context.Context) ([]contact, error) {
	r := &n.resolved
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if len(r.nodes) > 0 && time.Since(r.at) < resolveAgain {
		return r.nodes, nil
	}
	nodes, err := n.resolveAll(ctx)
	if len(nodes) > 0 {
		r.nodes, r.at = nodes, time.Now()
		return nodes, nil
	}
	return nil, err
}

// resolveAll asks for the addresses of all bootstrap nodes at once.
func (n *Node) resolveAll(ctx context.Context) (nodes []contact, err error) {
	ctx, cancel := context.WithTimeout(ctx, resolveFor)
	defer cancel()
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for _, hp := range n.bootstrap {
		wg.Go(func() {
			found, err := hp.resolve(ctx, n.socket.reach)
			mu.Lock()
			defer mu.Unlock()
			nodes, errs = append(nodes, found...), append(errs, err)
		})
	}
	wg.Wait()
	return nodes, joinLine(errs)
}

func (hp hostPort) resolve(ctx context.Context, r reach) ([]contact, error) {
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", hp.host)
	if err != nil {
		return nil, fmt.Errorf("bootstrap node: %w", err)
	}
	var nodes []contact
	for _, ip := range ips {
		addr := netip.AddrPortFrom(ip.Unmap(), hp.port)
		if err = r.check(addr); err != nil {
			err = fmt.Errorf("bootstrap node %s: %w", hp.host, err)
			continue
		}
		nodes = append(nodes, contact{addr: addr})
	}
	if len(nodes) > 0 {
		return nodes, nil
	}
	return nil, err
}

// anybody returns all nodes that were ever heard of: those that answered once (the machine may have
// slept), those of an earlier run, which so are asked before they are used, and the bootstrap nodes.
func (n *Node) anybody(ctx context.Context) ([]contact, error) {
	nodes := append(n.book.all(), n.saved...)
	routers, err := n.routers(ctx)
	nodes = append(nodes, routers...)
	if len(nodes) == 0 {
		return nil, noNodes(err)
	}
	return nodes, nil
}

func noNodes(reason error) error {
	if reason == nil {
		reason = ErrAlone
	}
	return fmt.Errorf("%w: %w", ErrNoNodes, reason)
}

// joinLine joins errors into one that reads as one line.
func joinLine(errs []error) (joined error) {
	for _, err := range errs {
		switch {
		case joined == nil:
			joined = err
		case err != nil:
			joined = fmt.Errorf("%w; %w", joined, err)
		}
	}
	return joined
}
