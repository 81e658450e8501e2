package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
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

// Drain is how an HTTP server comes to its end. A process has 10 s in all from SIGTERM until an orchestrator kills it, and
// leaving the swarm needs some of them.
type Drain struct {
	// Notice is how long requests are still taken, so that load balancers can see that the process is not ready any more
	// and send them elsewhere.
	Notice time.Duration
	// Grace is how long requests under way may then go on.
	Grace time.Duration
}

// ServeHTTP answers requests on ln until ctx ends, then drains. It returns nil after such a stop, and closes ln in any case. Of
// srv it fills what is unset: a time limit for the header of a request and one for idle connections. Bodies have no time
// limit, they may be large.
func ServeHTTP(ctx context.Context, ln net.Listener, srv *http.Server, d Drain) error {
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
	srv.SetKeepAlivesEnabled(false) // whoever comes again does so on a new connection, perhaps to another process
	select {
	case err := <-served:
		return fmt.Errorf("serve HTTP on %s: %w", ln.Addr(), err)
	case <-time.After(d.Notice):
	}
	shutdown(ctx, srv, d.Grace)
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP on %s: %w", ln.Addr(), err)
	}
	return nil
}

// shutdown gives requests under way the time grace before it cuts them off. That ctx has ended already does not matter.
func shutdown(ctx context.Context, srv *http.Server, grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		_ = srv.Close() // the listener is closed already, and the connections are no longer wanted
	}
}
