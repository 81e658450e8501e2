package main

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// relay passes TCP connections on to a server, at a limited rate towards it, and counts what it passes on in that direction.
type relay struct {
	listener net.Listener
	server   string // host:port
	limit    *rate.Limiter
	sent     atomic.Int64
	open     atomic.Int64 // connections
	stop     context.CancelFunc
	wg       sync.WaitGroup
}

// relayStep is how much is passed on at once.
const relayStep = 64 << 10

// startRelay listens on a port of its own. endpoint is http://host:port.
func startRelay(ctx context.Context, endpoint string, bytesPerSecond int) (*relay, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	r := &relay{
		listener: l, server: strings.TrimPrefix(endpoint, "http://"), stop: stop,
		limit: rate.NewLimiter(rate.Limit(bytesPerSecond), max(relayStep, bytesPerSecond/32)),
	}
	r.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			r.open.Add(1)
			r.wg.Go(func() {
				defer r.open.Add(-1)
				r.pass(ctx, conn)
			})
		}
	})
	return r, nil
}

func (r *relay) url() string { return "http://" + r.listener.Addr().String() }

// close ends all connections.
func (r *relay) close() {
	_ = r.listener.Close()
	r.stop()
	r.wg.Wait()
}

// drain waits until what clients that are gone have sent is passed on, too.
func (r *relay) drain(ctx context.Context) error {
	for r.open.Load() > 0 {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// pass connects a client to the server until either side has enough, or ctx ends.
func (r *relay) pass(ctx context.Context, client net.Conn) {
	defer client.Close()
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.server)
	if err != nil {
		return
	}
	defer server.Close()
	end := context.AfterFunc(ctx, func() {
		_ = client.Close()
		_ = server.Close()
	})
	defer end()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		_, _ = io.Copy(client, server) // until it is closed
		_ = client.Close()
	}()
	r.forward(ctx, server, client)
	_ = server.Close()
	<-answered
}

// forward counts what the server has taken.
func (r *relay) forward(ctx context.Context, server io.Writer, client io.Reader) {
	buf := make([]byte, relayStep)
	for {
		n, err := client.Read(buf)
		if n > 0 {
			if r.limit.WaitN(ctx, n) != nil {
				return
			}
			m, err := server.Write(buf[:n])
			r.sent.Add(int64(m))
			if err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
