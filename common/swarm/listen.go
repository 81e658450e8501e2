package swarm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// ErrPortTaken means that another program listens on the address already. The error around it names the address.
var ErrPortTaken = errors.New("port is taken by another program")

// anyPortTries bounds how often a free TCP port is tried whose UDP twin turns out to be taken.
const anyPortTries = 32

// Listeners are a TCP socket for peers and a UDP socket for the DHT on one port: peers learn the TCP port of a node from the UDP
// port that it announced from (BEP 5, implied_port).
type Listeners struct {
	TCP net.Listener
	// UDP is for IPv4 unless the address asked for is an IPv6 one.
	UDP net.PacketConn
}

// Listen binds both sockets to addr, host:port. An empty host means all addresses of both families for TCP. Port 0 takes a port
// that is free for both. Errors wrap [ErrPortTaken] where that is the reason.
func Listen(ctx context.Context, addr string) (*Listeners, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	for try := 1; ; try++ {
		l, err := listenBoth(ctx, host, port)
		if port == "0" && try < anyPortTries && errors.Is(err, ErrPortTaken) {
			continue
		}
		return l, err
	}
}

func listenBoth(ctx context.Context, host, port string) (*Listeners, error) {
	// BitTorrent has keep-alives of its own.
	config := net.ListenConfig{KeepAlive: -1}
	tcp, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, listenError("tcp", net.JoinHostPort(host, port), err)
	}
	bound, ok := tcp.Addr().(*net.TCPAddr)
	if !ok {
		return nil, errors.Join(fmt.Errorf("listen on %s: unexpected address %v", port, tcp.Addr()), tcp.Close())
	}
	network, udpHost := udpFor(host, bound.IP)
	udpAddr := net.JoinHostPort(udpHost, strconv.Itoa(bound.Port))
	udp, err := config.ListenPacket(ctx, network, udpAddr)
	if err != nil {
		return nil, errors.Join(listenError("udp", udpAddr, err), tcp.Close())
	}
	return &Listeners{TCP: tcp, UDP: udp}, nil
}

// udpFor is the UDP network and host that fit a TCP listener bound to ip.
func udpFor(host string, ip net.IP) (network, udpHost string) {
	if host == "" {
		return "udp4", ""
	}
	if ip.To4() == nil {
		return "udp6", ip.String()
	}
	return "udp4", ip.String()
}

func listenError(network, addr string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s %s: %w", network, addr, ErrPortTaken)
	}
	return fmt.Errorf("listen on %s %s: %w", network, addr, err)
}

// Port is the port of both sockets.
func (l *Listeners) Port() int {
	if a, ok := l.TCP.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// Close closes both sockets. A [Client] that was given the listeners closes TCP itself; closing twice does no harm.
func (l *Listeners) Close() error {
	var errs []error
	for _, c := range []interface{ Close() error }{l.TCP, l.UDP} {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
