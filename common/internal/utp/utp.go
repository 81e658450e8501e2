// Package utp stands in for github.com/anacrolix/go-utp, which anacrolix/torrent imports but which
// snapswarm does not use: uTP (BEP 29) is switched off, because over loopback it moved 6 MiB/s where
// TCP moved 315, and the real module cannot be had from every module proxy.
//
// The stand-in keeps the promises that the torrent library relies on and no more: a [Socket] is a
// plain UDP socket (so that a DHT node could share it), Accept blocks until Close, and dialling
// fails with [ErrUnsupported].
package utp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
)

// Default names the implementation in the torrent library's messages.
const Default = "tcp-only stand-in"

// ErrUnsupported is returned by every attempt to open a uTP connection.
var ErrUnsupported = errors.New("uTP is not supported by this build")

// FirewallCallback decides whether an incoming connection from addr is refused. It is never called,
// because no connection ever arrives.
type FirewallCallback func(addr net.Addr) (refuse bool)

// Option configures a socket. No option has an effect.
type Option func()

// WithLogger is accepted and ignored: there is nothing to log.
func WithLogger(*slog.Logger) Option { return func() {} }

// Socket is a UDP socket that could carry uTP.
type Socket interface {
	net.PacketConn
	// Accept blocks until the socket is closed and then returns [net.ErrClosed].
	Accept() (net.Conn, error)
	Addr() net.Addr
	// DialContext fails with [ErrUnsupported].
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
	SetFirewallCallback(FirewallCallback)
}

// NewSocket binds a UDP socket. The caller closes it.
func NewSocket(network, addr string, opts ...Option) (Socket, error) {
	var config net.ListenConfig
	conn, err := config.ListenPacket(context.Background(), network, addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s %s: %w", network, addr, err)
	}
	return NewSocketFromPacketConn(conn, opts...)
}

// NewSocketFromPacketConn takes ownership of conn: closing the socket closes it.
func NewSocketFromPacketConn(conn net.PacketConn, _ ...Option) (Socket, error) {
	return &socket{PacketConn: conn, closed: make(chan struct{})}, nil
}

type socket struct {
	net.PacketConn

	closeOnce sync.Once
	closed    chan struct{}
}

func (s *socket) Accept() (net.Conn, error) {
	<-s.closed
	return nil, net.ErrClosed
}

func (s *socket) Addr() net.Addr { return s.LocalAddr() }

func (s *socket) Close() error {
	s.closeOnce.Do(func() { close(s.closed) })
	return s.PacketConn.Close()
}

func (s *socket) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, ErrUnsupported
}

func (s *socket) SetFirewallCallback(FirewallCallback) {}
