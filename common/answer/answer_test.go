package answer_test

import (
	"strings"
	"testing"
	"time"

	"snapswarm/common/answer"
)

func now() time.Time { return time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC) }

func TestRetryAfter(t *testing.T) {
	for field, want := range map[string]time.Duration{
		"0": 0, "120": 2 * time.Minute, " 5 ": 5 * time.Second, "86400": time.Hour, "99999999999999999999": time.Hour,
		"Fri, 20 Nov 2026 06:00:30 GMT": 30 * time.Second, "Fri, 20 Nov 2026 05:00:00 GMT": 0,
		"Fri, 20 Nov 2099 05:00:00 GMT": time.Hour,
		"":                              0, "-1": 0, "+1": 0, "1.5": 0, "soon": 0, "1s": 0, strings.Repeat("9", 129): 0,
	} {
		if got := answer.RetryAfter(field, now()); got != want {
			t.Errorf("RetryAfter(%q) = %v, want %v", field, got, want)
		}
	}
}

func TestParseContentRange(t *testing.T) {
	for field, want := range map[string]answer.ContentRange{
		"bytes 0-0/1": {0, 0, 1}, "bytes 3-6/10": {3, 6, 10}, "bytes 3-6/*": {3, 6, -1},
		"bytes 9223372036854775805-9223372036854775806/9223372036854775807": {1<<63 - 3, 1<<63 - 2, 1<<63 - 1},
	} {
		if got, err := answer.ParseContentRange(field); err != nil || got != want {
			t.Errorf("ParseContentRange(%q) = %v, %v; want %v", field, got, err, want)
		}
	}
	for _, field := range []string{
		"", "bytes", "bytes */10", "bytes 6-3/10", "bytes 3-10/10", "bytes -3-6/10", "bytes 3-6", "bytes 3-6/", "chars 3-6/10",
		"3-6/10", "bytes +3-6/10", "bytes 3-99999999999999999999/*", "bytes  3-6/10", "bytes 3-6/" + strings.Repeat("0", 128) + "10",
	} {
		if got, err := answer.ParseContentRange(field); err == nil {
			t.Errorf("ParseContentRange(%q) = %v, want an error", field, got)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Fri, 20 Nov 2026 06:00:30 GMT")
	f.Add("-1")
	f.Fuzz(func(t *testing.T, field string) {
		if wait := answer.RetryAfter(field, now()); wait < 0 || wait > answer.MaxRetryAfter {
			t.Errorf("RetryAfter(%q) = %v", field, wait)
		}
	})
}

func FuzzParseContentRange(f *testing.F) {
	f.Add("bytes 3-6/10")
	f.Add("bytes 3-6/*")
	f.Fuzz(func(t *testing.T, field string) {
		r, err := answer.ParseContentRange(field)
		if err == nil && (r.First < 0 || r.Last < r.First || (r.Total >= 0 && r.Total <= r.Last) || r.Total < -1) {
			t.Errorf("ParseContentRange(%q) = %+v", field, r)
		}
	})
}
