package daemon

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Bytes is a size. As text it is a number with an optional unit: KiB MiB GiB TiB PiB and the single letters k m g t p
// are powers of 1024; kB MB GB TB PB are powers of 1000. Upper and lower case mean the same.
type Bytes int64

// String returns the size with a unit, rounded: "512 MiB".
func (b Bytes) String() string { return humanize.IBytes(uint64(max(b, 0))) }

// UnmarshalText parses a size such as "512MiB", "2g" or "0".
func (b *Bytes) UnmarshalText(text []byte) error {
	n, err := parseQuantity(string(text))
	if err != nil {
		return errors.New(`want a size such as "512MiB", "2g" or "0"`)
	}
	*b = Bytes(n)
	return nil
}

// Rate is a number of bytes per second; 0 means unlimited. As text it is a size, with or without "/s", or a number of
// bits: "10MiB", "10MiB/s", "100Mbit/s".
type Rate int64

// String returns the rate with a unit, rounded, or "unlimited".
func (r Rate) String() string {
	if r <= 0 {
		return "unlimited"
	}
	return Bytes(r).String() + "/s"
}

// UnmarshalText parses a rate such as "10MiB", "100Mbit/s" or "unlimited".
func (r *Rate) UnmarshalText(text []byte) error {
	s, _ := strings.CutSuffix(strings.ToLower(strings.TrimSpace(string(text))), "/s")
	if s == "unlimited" || s == "none" {
		*r = 0
		return nil
	}
	divide := int64(1)
	if number, ok := strings.CutSuffix(s, "bit"); ok {
		s, divide = number+"b", 8 // "100m" becomes "100mb": decimal, as bits are
	}
	n, err := parseQuantity(s)
	if err != nil {
		return errors.New(`want a rate such as "10MiB", "100Mbit/s" or "unlimited"`)
	}
	*r = Rate(n / divide)
	return nil
}

// parseQuantity parses a non-negative number with an optional unit of bytes.
func parseQuantity(text string) (int64, error) {
	s := strings.ToLower(strings.TrimSpace(text))
	end := strings.LastIndexAny(s, "0123456789.") + 1
	scale, ok := byteUnit(strings.TrimSpace(s[end:]))
	number, err := strconv.ParseFloat(s[:end], 64)
	if err != nil || !ok || number < 0 || strings.ContainsAny(s[:end], "epx_") {
		return 0, fmt.Errorf("%q is not a size", text)
	}
	if n, err := strconv.ParseInt(s[:end], 10, 64); err == nil { // exact, where a float is not
		if n > math.MaxInt64/scale {
			return 0, fmt.Errorf("%q is too large", text)
		}
		return n * scale, nil
	}
	if number*float64(scale) >= math.MaxInt64 {
		return 0, fmt.Errorf("%q is too large", text)
	}
	return int64(number * float64(scale)), nil
}

func byteUnit(unit string) (scale int64, ok bool) {
	if unit == "" || unit == "b" {
		return 1, true
	}
	power := strings.IndexByte("kmgtp", unit[0]) + 1
	base, ok := map[string]float64{"": 1024, "ib": 1024, "i": 1024, "b": 1000}[unit[1:]]
	return int64(math.Pow(base, float64(power))), ok && power > 0
}

// ParseDuration parses a duration as settings have it: what time.ParseDuration knows, a leading number of days ("14d",
// "1d12h"), or a bare number of seconds. Negative ones are refused. Settings of type time.Duration are parsed by it.
func ParseDuration(text string) (time.Duration, error) {
	want := errors.New(`want a duration such as "90s", "10m", "14d" or a number of seconds`)
	s := strings.TrimSpace(text)
	if seconds, err := strconv.ParseUint(s, 10, 63); err == nil {
		s = strconv.FormatUint(seconds, 10) + "s"
	}
	var days time.Duration
	if head, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseUint(head, 10, 16) // 65535 days fit into a Duration
		if err != nil {
			return 0, want
		}
		if days = time.Duration(n) * 24 * time.Hour; rest == "" {
			return days, nil
		}
		s = rest
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d+days < 0 {
		return 0, want
	}
	return d + days, nil
}
