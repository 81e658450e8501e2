package daemon_test

import (
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"snapswarm/common/daemon"
)

func TestLoggerFormats(t *testing.T) {
	for _, tc := range []struct {
		format      daemon.LogFormat
		interactive bool
		want        string
	}{
		{"auto", true, `^\d\d:\d\d:\d\d WARN low space  salt=daily free=3\n$`},
		{"", true, `^\d\d:\d\d:\d\d WARN low space  salt=daily free=3\n$`},
		{"pretty", false, `^\d\d:\d\d:\d\d WARN low space  salt=daily free=3\n$`},
		{"auto", false, `^time=\S+ level=WARN msg="low space" salt=daily free=3\n$`},
		{"text", true, `^time=\S+ level=WARN msg="low space" salt=daily free=3\n$`},
		{"json", true, `^\{"time":"\S+","level":"WARN","msg":"low space","salt":"daily","free":3\}\n$`},
	} {
		var out strings.Builder
		term := &daemon.Terminal{Out: &out, Interactive: tc.interactive}
		log := daemon.NewLogger(term, daemon.Process{LogFormat: tc.format, LogLevel: daemon.LogLevel(slog.LevelWarn)})
		log.With("salt", "daily").Warn("low space", "free", 3)
		log.Info("dropped: below the level")
		if !regexp.MustCompile(tc.want).MatchString(out.String()) {
			t.Errorf("format %q, interactive %v: %q does not match %s", tc.format, tc.interactive, out.String(), tc.want)
		}
	}
}

func TestPrettyLogKeepsAttributesNamedLikeBuiltins(t *testing.T) {
	var out strings.Builder
	log := daemon.NewLogger(&daemon.Terminal{Out: &out}, daemon.Process{LogFormat: "pretty"})
	log.WithGroup("zstd").Info("packed", "level", 3, "msg", "x")
	log.Info("two\nlines", "level", 3, "err", errors.New("a\nb"), "took", time.Second)
	want := []string{`packed  zstd.level=3 zstd.msg=x`, `two; lines  level=3 err="a\nb" took=1s`}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	for i, line := range lines {
		if line[len("15:04:05 "):] != want[i] {
			t.Errorf("line %q, want %q after the time", line, want[i])
		}
	}
}
