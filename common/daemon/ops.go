package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

const (
	opsGrace       = time.Second      // how long answers on METRICS_ADDR may take to end when the process stops
	opsReadTimeout = 10 * time.Second // how long a request there may take to arrive
)

// Ops is the HTTP endpoint for those who run a process: /metrics, /livez, /readyz.
type Ops struct {
	listener net.Listener // nil: disabled
	server   *http.Server
	health   *Health
}

// ListenOps opens METRICS_ADDR, so that a taken address is known before the process starts to work. With addr empty
// everything is disabled, and Run only waits. Metrics may be nil.
func ListenOps(ctx context.Context, addr OptionalAddr, health *Health, metrics http.Handler, log *slog.Logger) (*Ops, error) {
	if addr == "" {
		return &Ops{}, nil
	}
	ln, err := Listen(ctx, "METRICS_ADDR", Addr(addr))
	if err != nil {
		return nil, err
	}
	log.InfoContext(ctx, "health and metrics", "url", "http://"+ln.Addr().String())
	mux := http.NewServeMux()
	mux.Handle("/", health.Handler())
	if metrics != nil {
		mux.Handle("GET /metrics", metrics)
	}
	server := &http.Server{
		Handler:           mux,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: opsReadTimeout,
		ReadTimeout:       opsReadTimeout,
	}
	return &Ops{ln, server, health}, nil
}

// Addr returns the address that is open, with the port that the system chose; nil when disabled.
func (o *Ops) Addr() net.Addr {
	if o.listener == nil {
		return nil
	}
	return o.listener.Addr()
}

// Run answers until ctx ends. It returns nil then, but answers go on until Close: the process is not ready any more, and alive
// while it comes to its end.
func (o *Ops) Run(ctx context.Context) error {
	if o.listener == nil {
		<-ctx.Done()
		return nil
	}
	served := make(chan error, 1)
	go func() { served <- o.server.Serve(o.listener) }()
	select {
	case err := <-served:
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve HTTP on %s: %w", o.Addr(), err)
	case <-ctx.Done():
		o.health.stop()
		return nil
	}
}

// Notice is how long others need to see that the process is not ready any more: d where they can ask, otherwise nothing.
func (o *Ops) Notice(d time.Duration) time.Duration {
	if o.listener == nil {
		return 0
	}
	return d
}

// Close ends the answers and closes the address. It should be the last thing that a process does. Closing twice is harmless.
func (o *Ops) Close() error {
	if o.listener == nil {
		return nil
	}
	shutdown(context.Background(), o.server, opsGrace)
	if err := o.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) { // nobody called Run
		return fmt.Errorf("close METRICS_ADDR: %w", err)
	}
	return nil
}
