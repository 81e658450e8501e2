package serve

import "net/url"

// Inside looks for tests of what is ours to parse.
var (
	ErrRangeSyntax   = errRangeSyntax
	ErrRangeCount    = errRangeCount
	ErrUnsatisfiable = errUnsatisfiable
	Quote            = quote
	Disposition      = disposition
	NextStep         = nextStep
)

// Part is a byteRange.
type Part struct{ Start, Length int64 }

func ParseRange(header string, size int64, limit int) ([]Part, error) {
	ranges, err := parseRange(header, size, limit)
	var parts []Part
	for _, r := range ranges {
		parts = append(parts, Part{r.start, r.length})
	}
	return parts, err
}

// CheckPath returns the status that a path is refused with, 0 if it is not.
func CheckPath(u *url.URL) int {
	if err := checkPath(u); err != nil {
		return asRefusal(err).status
	}
	return 0
}
