package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"
)

const (
	opsGrace       = time.Second      // how long answers on METRICS_ADDR may take to end when the process stops
	opsReadTimeout = 10 * time.Second // how long a request there may take to arrive
)

// Listen opens addr for TCP. Its error names the setting that the address came from, and what to do.
func Listen(ctx context.Context, setting string, addr Addr) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", string(addr))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is taken by another program: stop that one or choose another address", setting, addr)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: %s is not permitted: choose a port above 1023", setting, addr)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	return ln, nil
}

// ServeHTTP answers requests on ln until ctx ends, then gives the requests under way the time grace before it cuts them
// off. It returns nil after such a stop, and closes ln in any case. Of srv it fills what is unset: a time limit for the
// header of a request and one for idle connections. Bodies have no time limit, they may be large.
func ServeHTTP(ctx context.Context, ln net.Listener, srv *http.Server, grace time.Duration) error {
	if srv.ReadHeaderTimeout == 0 {
		srv.ReadHeaderTimeout = 10 * time.Second
	}
	if srv.IdleTimeout == 0 {
		srv.IdleTimeout = 2 * time.Minute
	}
	if srv.MaxHeaderBytes == 0 {
		srv.MaxHeaderBytes = 64 << 10
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve HTTP on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil {
		_ = srv.Close() // the listener is closed already, and the connections are no longer wanted
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP on %s: %w", ln.Addr(), err)
	}
	return nil
}

// Ops is the HTTP endpoint for those who run a process: /metrics, /livez, /readyz.
type Ops struct {
	listener net.Listener // nil: disabled
	server   *http.Server
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
	return &Ops{ln, &http.Server{
		Handler:           mux,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: opsReadTimeout,
		ReadTimeout:       opsReadTimeout,
	}}, nil
}

// Addr returns the address that is open, with the port that the system chose; nil when disabled.
func (o *Ops) Addr() net.Addr {
	if o.listener == nil {
		return nil
	}
	return o.listener.Addr()
}

// Run answers until ctx ends.
func (o *Ops) Run(ctx context.Context) error {
	if o.listener == nil {
		<-ctx.Done()
		return nil
	}
	return ServeHTTP(ctx, o.listener, o.server, opsGrace)
}

// Close closes the address. After Run, which does that too, its error means nothing.
func (o *Ops) Close() error {
	if o.listener == nil {
		return nil
	}
	return o.listener.Close()
}
