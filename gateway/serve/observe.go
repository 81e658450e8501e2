package serve

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
)

// observe counts and logs every request, whatever becomes of it. What a client sent is logged only where it is one of a few known
// values: the template of the route, not the path.
func (h *Handler) observe(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		ctx := context.WithoutCancel(c.Request().Context())
		h.metrics.active.Add(ctx, 1)
		defer func() {
			h.metrics.active.Add(ctx, -1)
			h.record(ctx, c, time.Since(began))
		}()
		// A client that takes nothing may not hold the connection for ever. Transfers move this on as they go; a limit left over
		// from the request before would otherwise cut this one.
		extend(c.Response().Writer, h.cfg.Idle)
		if err := next(c); err != nil {
			c.Error(err) // panics to cut the connection
		}
		extend(c.Response().Writer, h.cfg.Idle) // for what is still buffered
		return nil
	}
}

// endKey is where fail leaves how a request ended that was cut off.
const endKey = "end"

func (h *Handler) record(ctx context.Context, c echo.Context, took time.Duration) {
	status, route := c.Response().Status, routeOf(c)
	class, cut := c.Get(endKey).(string)
	if !cut {
		class = statusClass(status)
	}
	h.metrics.request(ctx, route, class)
	h.metrics.sent.Add(ctx, c.Response().Size)
	if !h.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	remote, _, _ := net.SplitHostPort(c.Request().RemoteAddr)
	h.log.DebugContext(ctx, "request", "method", methodOf(c.Request()), "route", route, "status", status, "end", class,
		"sent", c.Response().Size, "took", took, "remote", remote)
}

// routeOf is the template of the route, or "other".
func routeOf(c echo.Context) string {
	if path := c.Path(); path != "" {
		return path
	}
	return "other"
}

func methodOf(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return r.Method
	}
	return "other"
}

// extend allows writes to w for another d. Writers without deadlines, as in tests, have no limit.
func extend(w http.ResponseWriter, d time.Duration) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
}
