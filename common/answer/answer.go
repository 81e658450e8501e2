// Package answer reads the fields of a server's HTTP answer that decide how to go on: which bytes the body holds, and when to
// ask again. Servers are strangers: a field that is malformed or out of all proportion says nothing, or no more than its limit.
package answer

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxField is the longest value of a field that is looked at. None of the forms below needs as much.
const maxField = 128

// MaxRetryAfter is the longest wait that a server is believed.
const MaxRetryAfter = time.Hour

// RetryAfter reads a Retry-After field, seconds or a date (RFC 9110, section 10.2.3). The result lies between 0, also for a field
// that is missing or malformed, and [MaxRetryAfter].
func RetryAfter(field string, now time.Time) time.Duration {
	field = strings.TrimSpace(field)
	if field == "" || len(field) > maxField {
		return 0
	}
	if strings.Trim(field, "0123456789") == "" {
		seconds, err := strconv.ParseInt(field, 10, 64)
		if err != nil || seconds > int64(MaxRetryAfter/time.Second) {
			return MaxRetryAfter // a number, only too large
		}
		return time.Duration(seconds) * time.Second
	}
	date, err := http.ParseTime(field)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), MaxRetryAfter)
}

// ContentRange is which bytes of a file the body of a 206 answer holds.
type ContentRange struct {
	First, Last int64
	Total       int64 // size of the file, -1 if the server does not know it
}

// ParseContentRange reads a Content-Range field in bytes (RFC 9110, section 14.4). What it returns is a range that is not empty and
// lies within Total.
func ParseContentRange(field string) (ContentRange, error) {
	if len(field) > maxField {
		return ContentRange{}, fmt.Errorf("parse Content-Range of %d bytes: too long", len(field))
	}
	rest, ok := strings.CutPrefix(field, "bytes ")
	span, size, ok1 := strings.Cut(rest, "/")
	from, to, ok2 := strings.Cut(span, "-")
	first, err1 := parseDigits(from)
	last, err2 := parseDigits(to)
	r := ContentRange{First: first, Last: last, Total: -1}
	var err3 error
	if size != "*" {
		r.Total, err3 = parseDigits(size)
	}
	if !ok || !ok1 || !ok2 || errors.Join(err1, err2, err3) != nil || first > last || (r.Total >= 0 && last >= r.Total) {
		return ContentRange{}, fmt.Errorf("parse Content-Range %q", field)
	}
	return r, nil
}

// parseDigits is strict: no sign, no spaces.
func parseDigits(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err
}
