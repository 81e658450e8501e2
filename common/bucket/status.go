package bucket

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"snapswarm/common/answer"
)

// StatusError is an HTTP answer other than the one that was asked for. errors.Is finds [ErrNotFound] (404, 410),
// [ErrDenied] (401, 403, 451) and [ErrUnreachable] (408, 425, 429 and 5xx) in it. Note that AWS answers 403 for a
// missing object unless the bucket's policy lets everybody list it.
type StatusError struct {
	// URL is what was asked for, without query and password.
	URL string
	// Status is the HTTP status code.
	Status int
	// RetryAfter is how long the server asked to wait, at most [answer.MaxRetryAfter]; 0 if it did not.
	RetryAfter time.Duration
}

func (e *StatusError) Error() string {
	text := http.StatusText(e.Status)
	if e.RetryAfter > 0 {
		return fmt.Sprintf("%s: status %d %s, retry after %v", e.URL, e.Status, text, e.RetryAfter)
	}
	return strings.TrimSpace(fmt.Sprintf("%s: status %d %s", e.URL, e.Status, text))
}

// Is sorts the status under the sentinels.
func (e *StatusError) Is(target error) bool {
	switch e.Status {
	case http.StatusNotFound, http.StatusGone:
		return target == ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusUnavailableForLegalReasons:
		return target == ErrDenied
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return target == ErrUnreachable
	}
	return e.Status >= 500 && target == ErrUnreachable
}

// NewStatusError describes an unwanted answer. It does not touch the body.
func NewStatusError(resp *http.Response) *StatusError {
	e := &StatusError{Status: resp.StatusCode, RetryAfter: answer.RetryAfter(resp.Header.Get("Retry-After"), time.Now())}
	if resp.Request != nil {
		e.URL = cleanURL(resp.Request.URL)
	}
	return e
}

// cleanURL leaves out what may be secret.
func cleanURL(u *url.URL) string {
	clean := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}
	return clipTo(clean.String(), 1024)
}
