package telemetry

import (
	"log/slog"
	"sync"
	"time"
)

// quietTime is the least time between two reports on the same trouble, which otherwise comes with every export.
const quietTime = time.Minute

// errorHandler logs errors of OpenTelemetry, at most one per quietTime.
type errorHandler struct {
	log *slog.Logger

	mu         sync.Mutex
	last       time.Time // of the last report; guarded by mu
	suppressed int       // errors since then; guarded by mu
}

func newErrorHandler(log *slog.Logger) *errorHandler { return &errorHandler{log: log} }

// Handle implements otel.ErrorHandler.
func (h *errorHandler) Handle(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); h.last.IsZero() || now.Sub(h.last) >= quietTime {
		h.log.Warn("telemetry: export", "err", err, "suppressed", h.suppressed)
		h.last, h.suppressed = now, 0
		return
	}
	h.suppressed++
}
