package serve

import (
	"net/http"
	"strings"
	"time"
)

// validators identify the bytes of a response (RFC 9110 section 8.8). The entity tag is strong and the same for all ranges.
type validators struct {
	etag     string    // with its quotes
	modified time.Time // to the second; zero: unknown
}

// set writes the validators into a response's header.
func (v validators) set(h http.Header) {
	h.Set("ETag", v.etag)
	if !v.modified.IsZero() {
		h.Set("Last-Modified", v.modified.UTC().Format(http.TimeFormat))
	}
}

// precondition evaluates the conditions of a GET or HEAD in the order of RFC 9110 section 13.2.2: it returns
// http.StatusPreconditionFailed, http.StatusNotModified, or 0 to go on.
func (v validators) precondition(h http.Header) int {
	if match := h.Values("If-Match"); len(match) > 0 {
		if !v.listed(match, false) {
			return http.StatusPreconditionFailed
		}
	} else if t, err := http.ParseTime(h.Get("If-Unmodified-Since")); err == nil && v.modified.After(t) {
		return http.StatusPreconditionFailed
	}
	if match := h.Values("If-None-Match"); len(match) > 0 {
		if v.listed(match, true) {
			return http.StatusNotModified
		}
	} else if t, err := http.ParseTime(h.Get("If-Modified-Since")); err == nil && !v.modified.IsZero() && !v.modified.After(t) {
		return http.StatusNotModified
	}
	return 0
}

// listed reports whether the entity tag is in a list of If-Match or If-None-Match; weak says how tags are compared.
func (v validators) listed(values []string, weak bool) bool {
	rest := strings.Join(values, ",")
	if strings.TrimSpace(rest) == "*" {
		return true
	}
	for {
		var tag string
		if tag, rest = nextTag(rest); tag == "" {
			return false
		}
		if weak {
			tag = strings.TrimPrefix(tag, "W/")
		}
		if tag == v.etag {
			return true
		}
	}
}

// nextTag cuts the first entity tag off a list; "" at its end or where it is malformed. Tags may hold commas.
func nextTag(list string) (tag, rest string) {
	list = strings.TrimLeft(list, " \t,")
	prefix := 0
	if strings.HasPrefix(list, "W/") {
		prefix = 2
	}
	if len(list) <= prefix || list[prefix] != '"' {
		return "", ""
	}
	end := strings.IndexByte(list[prefix+1:], '"')
	if end < 0 {
		return "", ""
	}
	end += prefix + 2
	return list[:end], list[end:]
}

// ifRange is what a request's If-Range says (RFC 9110 section 13.1.5).
type ifRange int

const (
	ifRangeAbsent ifRange = iota
	ifRangeMatches
	ifRangeDiffers
)

// ifRange compares the header. A date is only as good as the promise that the resource never changed within its second: it
// counts on immutable ones alone.
func (v validators) ifRange(h http.Header, immutable bool) ifRange {
	value := h.Get("If-Range")
	if value == "" {
		return ifRangeAbsent
	}
	if value == v.etag {
		return ifRangeMatches
	}
	t, err := http.ParseTime(value)
	if err == nil && immutable && !v.modified.IsZero() && t.Equal(v.modified) {
		return ifRangeMatches
	}
	return ifRangeDiffers
}
