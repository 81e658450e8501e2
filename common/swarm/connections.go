package swarm

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"snapswarm/common/address"
)

// errTooMany is about a peer that is not connected to because enough are.
var errTooMany = errors.New("too many connections to peers")

// connections are all sockets of peers: how many there may be, and what is read from them. The library bounds them per snapshot,
// and only after the handshake.
type connections struct {
	limit *rate.Limiter // of what is read; nil: unlimited
	most  int64
	open  atomic.Int64
}

// admit makes room for one more. With must it does so in any case.
func (c *connections) admit(must bool) bool {
	if c.open.Add(1) > c.most && !must {
		c.open.Add(-1)
		return false
	}
	return true
}

// keep counts an admitted connection until it is closed. Closing it must not leave a socket in TIME_WAIT for minutes, and its reads
// are limited here, because the library stops taking connections while a limiter of its own is exhausted.
func (c *connections) keep(conn net.Conn) net.Conn {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // an optimisation only
	}
	return &connection{Conn: conn, of: c, closed: make(chan struct{})}
}

type connection struct {
	net.Conn

	of     *connections
	once   sync.Once
	closed chan struct{}
}

// Close makes room for another one.
func (c *connection) Close() error {
	c.once.Do(func() {
		c.of.open.Add(-1)
		close(c.closed)
	})
	return c.Conn.Close()
}

func (c *connection) Read(b []byte) (int, error) {
	limit := c.of.limit
	if limit == nil {
		return c.Conn.Read(b)
	}
	n, err := c.Conn.Read(b[:min(len(b), limit.Burst())])
	if wait := limit.ReserveN(time.Now(), n).Delay(); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-c.closed: // else closing could take as long as the limit is low
		}
	}
	return n, err
}

// peerDialer connects to peers. Addresses come from strangers (DHT, PEX, trackers), so private ones are dialled only if allowed or
// if they are seed peers that the operator named. Those are also dialled when there are connections enough.
type peerDialer struct {
	*connections

	allowPrivate bool
	named        func(addr string) bool
}

// DialerNetwork is part of the library's dialer interface.
func (d *peerDialer) DialerNetwork() string { return "tcp" }

// Dial is part of the library's dialer interface.
func (d *peerDialer) Dial(ctx context.Context, addr string) (net.Conn, error) {
	named := d.named(addr)
	if !d.admit(named) {
		return nil, errTooMany
	}
	dialer := net.Dialer{KeepAlive: -1, FallbackDelay: -1}
	if !d.allowPrivate && !named {
		dialer.Control = address.ControlPublic
	}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		d.open.Add(-1)
		return nil, err // a *net.OpError names the address
	}
	return d.keep(conn), nil
}

// peerListener takes the connections that peers open, and closes those that are too many.
type peerListener struct {
	net.Listener
	*connections
}

// Accept returns the next connection that there is room for.
func (l peerListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err // the library looks at it only for logging
		}
		if l.admit(false) {
			return l.keep(conn), nil
		}
		_ = conn.Close() // a peer tries again, or another one
	}
}

// newLimiter makes a limiter of bytes per second; nil means unlimited.
func newLimiter(bytesPerSecond int64) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	// A burst of a quarter of a second keeps transfers smooth; a chunk of 16 KiB must always fit.
	return rate.NewLimiter(rate.Limit(bytesPerSecond), int(min(max(bytesPerSecond/4, 64<<10), 1<<20)))
}
