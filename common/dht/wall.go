package dht

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/anacrolix/dht/v2/krpc"
	"github.com/anacrolix/torrent/bencode"
)

// maxPacket is the longest message that is looked at. The longest sensible one, a get_peers reply
// full of peers, stays below the MTU of Ethernet.
const maxPacket = 4096

// wall is the socket as the library sees it: it lets in only messages that the library can digest,
// and neither in nor out what concerns an address that [reach] forbids.
type wall struct {
	net.PacketConn
	reach   reach
	metrics *metrics

	once   sync.Once
	closed chan struct{}
}

func newWall(conn net.PacketConn, r reach, m *metrics) *wall {
	return &wall{PacketConn: conn, reach: r, metrics: m, closed: make(chan struct{})}
}

// ReadFrom returns the next message that passes. It fails only after Close, because the library
// panics on any other error of its socket.
func (w *wall) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, addr, err := w.PacketConn.ReadFrom(b)
		if err != nil {
			if !w.pause(err) {
				return 0, nil, net.ErrClosed
			}
			continue
		}
		switch {
		case n > maxPacket:
			w.metrics.drop("size")
		case w.reach.check(addrPort(addr)) != nil:
			w.metrics.drop("address")
		case !wellFormed(b[:n]):
			w.metrics.drop("malformed")
		default:
			return n, addr, nil
		}
	}
}

// pause waits a little after a failed read, or for Close when the socket is gone for good. It
// reports whether to go on.
func (w *wall) pause(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		<-w.closed
		return false
	}
	select {
	case <-w.closed:
		return false
	case <-time.After(10 * time.Millisecond):
		return true
	}
}

func (w *wall) WriteTo(b []byte, addr net.Addr) (int, error) {
	if err := w.reach.check(addrPort(addr)); err != nil {
		w.metrics.refusedSends.Add(context.Background(), 1)
		return 0, err
	}
	return w.PacketConn.WriteTo(b, addr)
}

func (w *wall) Close() (err error) {
	w.once.Do(func() {
		close(w.closed)
		err = w.PacketConn.Close()
	})
	return err
}

// wellFormed reports whether the library can digest the message: it decodes, and what the library
// takes for granted is there.
func wellFormed(b []byte) bool {
	m, ok := decode(b)
	if !ok || len(m.T) == 0 || len(m.T) > 64 || !addressLength(len(m.IP.IP), 0) {
		return false
	}
	switch m.Y {
	case krpc.YQuery:
		return m.A != nil && knownQuery(m.Q)
	case krpc.YResponse:
		return m.R != nil && goodValues(m.R.Values)
	case krpc.YError:
		return m.E != nil
	}
	return false
}

// decode reads a message. The library's decoder panics on addresses that are too short; it runs in
// this very goroutine here, so that recovering is enough.
func decode(b []byte) (m krpc.Msg, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	err := bencode.Unmarshal(b, &m)
	var trailing bencode.ErrUnusedTrailingBytes // some clients pad; the library takes it
	return m, err == nil || errors.As(err, &trailing)
}

// knownQuery keeps unknown queries from the library, which counts each name for ever.
func knownQuery(q string) bool {
	switch q {
	case "ping", "find_node", "get_peers", "announce_peer", "get", "put":
		return true
	}
	return false
}

func goodValues(peers []krpc.NodeAddr) bool {
	for _, p := range peers {
		if !addressLength(len(p.IP), net.IPv4len) {
			return false
		}
	}
	return true
}

func addressLength(n, orElse int) bool {
	return n == net.IPv4len || n == net.IPv6len || n == orElse
}
