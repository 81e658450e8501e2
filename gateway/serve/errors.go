package serve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"syscall"

	"github.com/labstack/echo/v4"
)

// refusal is an error that a client is told about.
type refusal struct {
	status int
	// text is the body, for people. Of the request it holds nothing but the host name.
	text   string
	header map[string]string
	// cause is for the log; nil when the client alone is to blame.
	cause error
}

// refuse makes a refusal whose text is format and its arguments.
func refuse(status int, format string, args ...any) *refusal {
	return &refusal{status: status, text: fmt.Sprintf(format, args...)}
}

// with adds a header to the response.
func (r *refusal) with(name, value string) *refusal {
	if r.header == nil {
		r.header = make(map[string]string)
	}
	r.header[name] = value
	return r
}

// because adds what the log should say.
func (r *refusal) because(cause error) *refusal {
	r.cause = cause
	return r
}

func (r *refusal) Error() string {
	if r.cause != nil {
		return fmt.Sprintf("answer %d: %v", r.status, r.cause)
	}
	return fmt.Sprintf("answer %d", r.status)
}

func (r *refusal) Unwrap() error { return r.cause }

// retryAfter, in seconds, is told with answers that may be better soon.
const retryAfter = "30"

// How a request ended that got no answer, or only a part of one. These are values of a metric's attribute.
const (
	endGone    = "gone"    // the client left, or took nothing for too long
	endStalled = "stalled" // no source delivered anything for too long
	endBroken  = "broken"  // the data could not be read
)

// fail is where errors meet HTTP, and the only place. Before the header was sent it answers with a text; afterwards nothing may be
// added, so it cuts the connection and the client sees a transfer that did not end.
func (h *Handler) fail(err error, c echo.Context) {
	ctx := c.Request().Context()
	if c.Response().Committed || ctx.Err() != nil {
		how := endOf(ctx, err)
		c.Set(endKey, how)
		if how != endGone {
			h.log.WarnContext(ctx, "transfer cut off", "route", routeOf(c), "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	r := asRefusal(err)
	if r.cause != nil {
		h.log.WarnContext(ctx, "request failed", "route", routeOf(c), "status", r.status, "error", r.cause)
	}
	header := c.Response().Header()
	for _, name := range []string{"Accept-Ranges", "Content-Disposition", "Content-Location", "Content-Range", "ETag", "Last-Modified", "Link"} {
		header.Del(name) // they were meant for the data
	}
	header.Set("Cache-Control", "no-store")
	for name, value := range r.header {
		header.Set(name, value)
	}
	_ = text(c, r.status, r.text) // a client that does not listen is its own loss
}

// text answers with a line or more for people.
func text(c echo.Context, status int, body string) error {
	body += "\n"
	header := c.Response().Header()
	header.Set("Content-Type", plainText)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	c.Response().WriteHeader(status)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	_, err := c.Response().Write([]byte(body))
	return err
}

// endOf says why a transfer failed.
func endOf(ctx context.Context, err error) string {
	switch {
	case errors.Is(err, errStalled):
		return endStalled
	case ctx.Err() != nil, errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, os.ErrDeadlineExceeded):
		return endGone
	}
	return endBroken
}

// asRefusal turns errors of the router and unexpected ones into answers.
func asRefusal(err error) *refusal {
	var r *refusal
	var he *echo.HTTPError
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &he) && he.Code == http.StatusMethodNotAllowed:
		return refuse(http.StatusMethodNotAllowed, "Only GET and HEAD are understood here.").with("Allow", "GET, HEAD")
	case errors.As(err, &he) && he.Code == http.StatusNotFound:
		return refuse(http.StatusNotFound, "There is nothing here. The listing is at /.")
	}
	return refuse(http.StatusInternalServerError, "The gateway failed to answer; its log says why.").because(err)
}

// waitError is what a client is told when the first byte did not come.
func (h *Handler) waitError(v view, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return refuse(http.StatusGatewayTimeout,
			"No data of %s, version %s, arrived within %s: at the moment neither peers nor origins deliver the piece at which your request begins.\n\n"+
				"What is here already can be read, the rest is still being looked for. Try again later:\n  %s",
			v.torrent.Name, v.version, h.cfg.FirstByte, v.commands().resume()).
			with("Retry-After", retryAfter).because(errors.New("no source delivered the first piece in time"))
	}
	return refuse(http.StatusServiceUnavailable, "The gateway cannot read %s, version %s, at the moment; its log says why.", v.torrent.Name, v.version).
		with("Retry-After", retryAfter).because(err)
}
