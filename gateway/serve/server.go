package serve

import (
	"log/slog"
	"net/http"
	"time"
)

// MaxHeader is how many bytes the header of a request may have, roughly: net/http adds some room of its own.
const MaxHeader = 16 << 10

// NewServer is an http.Server with the limits that a public gateway needs. It has no time limit on responses: those roll with the
// progress of each transfer.
func NewServer(h *Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    MaxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
