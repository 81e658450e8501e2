package swarm

import (
	"context"
	"net"
	"time"

	"golang.org/x/time/rate"

	"snapswarm/common/address"
)

// peerDialer connects to peers. Addresses come from strangers (DHT, PEX, trackers), so private ones are dialled only if allowed or
// if they are seed peers that the operator named.
type peerDialer struct {
	allowPrivate bool
	named        func(addr string) bool
	limit        *rate.Limiter // nil: unlimited
}

// DialerNetwork is part of the library's dialer interface.
func (d *peerDialer) DialerNetwork() string { return "tcp" }

// Dial is part of the library's dialer interface.
func (d *peerDialer) Dial(ctx context.Context, addr string) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: -1, FallbackDelay: -1}
	if !d.allowPrivate && !d.named(addr) {
		dialer.Control = address.ControlPublic
	}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err // a *net.OpError names the address
	}
	return tune(conn, d.limit), nil
}

// peerListener applies the download limit to connections that peers open.
type peerListener struct {
	net.Listener

	limit *rate.Limiter
}

func (l peerListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err // the library looks at it only for logging
	}
	return tune(conn, l.limit), nil
}

// tune prepares a peer's connection: closing it must not leave a socket in TIME_WAIT for minutes, and its reads are limited here,
// because the library stops taking connections while a limiter of its own is exhausted.
func tune(conn net.Conn, limit *rate.Limiter) net.Conn {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // an optimisation only
	}
	if limit == nil {
		return conn
	}
	return &limitedConn{Conn: conn, limit: limit}
}

type limitedConn struct {
	net.Conn

	limit *rate.Limiter
}

func (c *limitedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), c.limit.Burst())])
	if n > 0 {
		time.Sleep(c.limit.ReserveN(time.Now(), n).Delay())
	}
	return n, err
}

// newLimiter makes a limiter of bytes per second; nil means unlimited.
func newLimiter(bytesPerSecond int64) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	// A burst of a quarter of a second keeps transfers smooth; a chunk of 16 KiB must always fit.
	return rate.NewLimiter(rate.Limit(bytesPerSecond), int(min(max(bytesPerSecond/4, 64<<10), 1<<20)))
}
