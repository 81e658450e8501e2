package serve_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snapswarm/gateway/serve"
)

func TestParseRange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		header string
		size   int64
		want   []serve.Part
		err    error
	}{
		{header: "", size: 10},
		{header: "lines=1-2", size: 10},
		{header: "bytes=0-", size: 10, want: []serve.Part{{0, 10}}},
		{header: "bytes=9-9", size: 10, want: []serve.Part{{9, 1}}},
		{header: "bytes= 1-2 , ,4-5,", size: 10, want: []serve.Part{{1, 2}, {4, 2}}},
		{header: "bytes=0-9223372036854775807", size: 10, want: []serve.Part{{0, 10}}},
		{header: "bytes=-9223372036854775808", size: 10, want: []serve.Part{{0, 10}}},
		{header: "bytes=10-,3-4", size: 10, want: []serve.Part{{3, 2}}},
		// the order of the request stays
		{header: "bytes=8-9,0-1,4-5", size: 10, want: []serve.Part{{8, 2}, {0, 2}, {4, 2}}},
		// what overlaps or touches is joined, also by a later one
		{header: "bytes=8-9,0-1,2-7", size: 10, want: []serve.Part{{0, 10}}},
		{header: "bytes=0-0,4-4,8-8,3-5", size: 10, want: []serve.Part{{0, 1}, {3, 3}, {8, 1}}},
		{header: "bytes=0-9,0-9,0-9", size: 10, want: []serve.Part{{0, 10}}},
		{header: "bytes=10-", size: 10, err: serve.ErrUnsatisfiable},
		{header: "bytes=9999999999999999999999-", size: 10, err: serve.ErrUnsatisfiable},
		{header: "bytes=-0", size: 10, err: serve.ErrUnsatisfiable},
		{header: "bytes=", size: 10, err: serve.ErrRangeSyntax},
		{header: "bytes", size: 10, err: serve.ErrRangeSyntax},
		{header: "bytes=-", size: 10, err: serve.ErrRangeSyntax},
		{header: "bytes=--1", size: 10, err: serve.ErrRangeSyntax},
		{header: "bytes=1-2-3", size: 10, err: serve.ErrRangeSyntax},
		{header: "bytes=0x1-2", size: 10, err: serve.ErrRangeSyntax},
		{header: "bytes=1 -2", size: 10, err: serve.ErrRangeSyntax},
		{header: "bytes=5-4", size: 10, err: serve.ErrRangeSyntax},
		{header: "bytes=0-1;2-3", size: 10, err: serve.ErrRangeSyntax},
		{header: "bytes=0-0,2-2,4-4,6-6", size: 10, err: serve.ErrRangeCount},
	} {
		got, err := serve.ParseRange(tt.header, tt.size, 3)
		if tt.header == "bytes=0-0,4-4,8-8,3-5" {
			got, err = serve.ParseRange(tt.header, tt.size, 4)
		}
		if !errors.Is(err, tt.err) {
			t.Errorf("ParseRange(%q) error = %v, want %v", tt.header, err, tt.err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("ParseRange(%q) differs (-want +got):\n%s", tt.header, diff)
		}
	}
}

// FuzzRange: whatever a client sends, what is served lies in the file, holds no byte twice, and keeps to the limit.
func FuzzRange(f *testing.F) {
	for _, seed := range []string{"bytes=0-", "bytes=-5", "bytes=1-2,3-4", "bytes=5-1", "lines=1", "bytes=,,1-1", "bytes=99999999999999999999-", "bytes=-0", "=", "bytes=0-0,0-0,9-"} {
		f.Add(seed, int64(10))
	}
	f.Fuzz(func(t *testing.T, header string, size int64) {
		if size < 1 {
			return
		}
		const limit = 5
		parts, err := serve.ParseRange(header, size, limit)
		if err != nil && len(parts) > 0 {
			t.Fatalf("ParseRange(%q, %d) = %v and %v, want one of them", header, size, parts, err)
		}
		if len(parts) > limit {
			t.Fatalf("ParseRange(%q) = %d parts, want at most %d", header, len(parts), limit)
		}
		slices.SortFunc(parts, func(a, b serve.Part) int {
			if a.Start < b.Start {
				return -1
			}
			return 1
		})
		end := int64(-1)
		for _, p := range parts {
			if p.Start <= end || p.Length < 1 || p.Start > size-p.Length {
				t.Fatalf("ParseRange(%q, %d) = %v: a part overlaps, touches or lies outside", header, size, parts)
			}
			end = p.Start + p.Length
		}
	})
}

// FuzzPath: a path that is let through has the same elements escaped and unescaped, none of them special.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/", "/demo/", "/demo/latest/data.zst", "/a%2fb", "/a/../b", "/a/%2e%2e/b", "//", "/a%00", "/a%5cb", "/%ff", "/Gr%C3%B6%C3%9Fe", "*", "/a%252fb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := url.ParseRequestURI(raw)
		if err != nil {
			return
		}
		if status := serve.CheckPath(u); status != 0 {
			if status < 400 || status > 499 {
				t.Fatalf("CheckPath(%q) = %d, want a client error", raw, status)
			}
			return
		}
		elements := strings.Split(u.Path, "/")
		if got := len(strings.Split(u.EscapedPath(), "/")); got != len(elements) {
			t.Fatalf("%q has %d elements escaped and %d unescaped", raw, got, len(elements))
		}
		for _, e := range elements {
			if e == "." || e == ".." || strings.ContainsAny(e, "\x00\\\r\n") {
				t.Fatalf("CheckPath let %q through", raw)
			}
		}
	})
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://gw.test/demo/x.zst": "https://gw.test/demo/x.zst",
		"a b":                        "'a b'",
		"it's":                       `'it'\''s'`,
		"$(reboot)":                  "'$(reboot)'",
		"a&b":                        "'a&b'",
		"-rf":                        "'-rf'",
		"":                           "''",
		"größe":                      "'größe'",
		"magnet:?xs=1&s=2":           "'magnet:?xs=1&s=2'",
	} {
		if got := serve.Quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}
