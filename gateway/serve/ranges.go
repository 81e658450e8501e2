package serve

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Errors of parseRange.
var (
	errRangeSyntax   = errors.New("malformed Range")
	errRangeCount    = errors.New("too many ranges")
	errUnsatisfiable = errors.New("no range lies within the file")
)

// byteRange is a part of a file; length is never 0.
type byteRange struct{ start, length int64 }

func (r byteRange) end() int64 { return r.start + r.length }

// contentRange is the value of a Content-Range header (RFC 9110 section 14.4).
func (r byteRange) contentRange(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", r.start, r.end()-1, size)
}

// parseRange reads a Range header (RFC 9110 section 14.2) for a file of size bytes. It returns no ranges for an empty header and
// for units other than bytes, which are to be ignored. Ranges that overlap or touch are joined, the others keep their order, so
// the result never exceeds the file.
//
// The RFC lets a server ignore what it cannot parse, but then a client that meant to resume would get the whole file and might
// append it: such headers are an error.
func parseRange(header string, size int64, limit int) ([]byteRange, error) {
	unit, list, found := strings.Cut(header, "=")
	if !found && header != "" {
		return nil, errRangeSyntax
	}
	if !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return nil, nil
	}
	specs, err := splitSpecs(list, limit)
	if err != nil {
		return nil, err
	}
	var ranges []byteRange
	for _, spec := range specs {
		r, err := parseSpec(spec, size)
		if err != nil {
			return nil, err
		}
		if r.length > 0 {
			ranges = join(ranges, r)
		}
	}
	if len(ranges) == 0 {
		return nil, errUnsatisfiable
	}
	return ranges, nil
}

// splitSpecs returns the elements of a list; empty ones do not count (RFC 9110 section 5.6.1).
func splitSpecs(list string, limit int) ([]string, error) {
	var specs []string
	for spec := range strings.SplitSeq(list, ",") {
		if spec = strings.Trim(spec, " \t"); spec == "" {
			continue
		}
		if len(specs) == limit {
			return nil, errRangeCount
		}
		specs = append(specs, spec)
	}
	if len(specs) == 0 {
		return nil, errRangeSyntax
	}
	return specs, nil
}

// parseSpec reads "first-last", "first-" or "-suffix". A length of 0 means that no byte of it exists.
func parseSpec(spec string, size int64) (byteRange, error) {
	first, last, found := strings.Cut(spec, "-")
	if !found {
		return byteRange{}, errRangeSyntax
	}
	if first == "" {
		n, err := parsePosition(last)
		n = min(n, size)
		return byteRange{size - n, n}, err
	}
	start, err := parsePosition(first)
	if err != nil {
		return byteRange{}, err
	}
	end := size
	if last != "" {
		n, err := parsePosition(last)
		if err != nil || n < start {
			return byteRange{}, errRangeSyntax
		}
		end = min(size-1, n) + 1
	}
	return byteRange{start, max(end-start, 0)}, nil
}

// parsePosition reads digits and nothing else; numbers beyond all files are cut.
func parsePosition(s string) (int64, error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, errRangeSyntax
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return math.MaxInt64, nil
	}
	return n, err
}

// join adds r, united with all those that overlap or touch it. The union stands where the first of them stood.
func join(ranges []byteRange, r byteRange) []byteRange {
	at := -1
	kept := ranges[:0]
	for _, o := range ranges {
		if o.start > r.end() || r.start > o.end() {
			kept = append(kept, o)
			continue
		}
		if at < 0 {
			at = len(kept)
			kept = append(kept, byteRange{})
		}
		start := min(r.start, o.start)
		r = byteRange{start, max(r.end(), o.end()) - start}
	}
	if at < 0 {
		return append(kept, r)
	}
	kept[at] = r
	return kept
}
