package dht

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// socket is the UDP socket, which neither receives from nor sends to an address that [reach]
// forbids.
type socket struct {
	conn    net.PacketConn
	reach   reach
	metrics *metrics
}

// receive hands every message to handle, one after another, until the socket is closed or ctx ends.
func (s *socket) receive(ctx context.Context, handle func(m message, from netip.AddrPort)) {
	b := make([]byte, maxPacket+1)
	for {
		size, addr, err := s.conn.ReadFrom(b)
		if err != nil {
			if !goOn(ctx, err) {
				return
			}
			continue
		}
		from := addrPort(addr)
		switch m, err := parse(b[:size]); {
		case s.reach.check(from) != nil:
			s.metrics.drop("address")
		case size > maxPacket:
			s.metrics.drop("size")
		case err != nil:
			s.metrics.drop("malformed")
		default:
			handle(m, from)
		}
	}
}

// goOn waits a little after a failed read, which may be another host's fault (ICMP). It reports
// false when the socket is gone for good.
func goOn(ctx context.Context, err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(10 * time.Millisecond):
		return true
	}
}

func (s *socket) send(b []byte, to netip.AddrPort) error {
	if err := s.reach.check(to); err != nil {
		s.metrics.refusedSends.Add(context.Background(), 1)
		return err
	}
	_, err := s.conn.WriteTo(b, net.UDPAddrFromAddrPort(to))
	return err
}
