package daemon_test

import (
	"encoding"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/daemon"
)

func TestBytes(t *testing.T) {
	for text, want := range map[string]daemon.Bytes{
		"0": 0, "17": 17, "17b": 17, "512MiB": 512 << 20, "2g": 2 << 30, "2G": 2 << 30, "1.5 GiB": 3 << 29, "10k": 10 << 10,
		"10kB": 10_000, "3 TB": 3_000_000_000_000, "1Ti": 1 << 40, "9223372036854775807": math.MaxInt64, " 4m ": 4 << 20,
	} {
		var got daemon.Bytes
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q = %d, %v, want %d", text, got, err, want)
		}
	}
	refuse[daemon.Bytes](t, "", "MiB", "-1", "1e9", "0x10", "1_000", "10 bananas", "9223372036854775808", "9000000t", "1.2.3", "nan", "inf", "5Mbit", "1 2")
	if got := daemon.Bytes(3 << 29).String(); got != "1.5 GiB" {
		t.Errorf("String = %q", got)
	}
}

func TestRate(t *testing.T) {
	for text, want := range map[string]daemon.Rate{
		"0": 0, "unlimited": 0, "none": 0, "10MiB": 10 << 20, "10MiB/s": 10 << 20, "100Mbit/s": 12_500_000, "100 mbit": 12_500_000, "800bit": 100, "8Mibit": 1 << 20,
	} {
		var got daemon.Rate
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q = %d, %v, want %d", text, got, err, want)
		}
	}
	refuse[daemon.Rate](t, "", "fast", "bit", "-1", "10MiB/h")
	for rate, want := range map[daemon.Rate]string{0: "unlimited", 1 << 20: "1.0 MiB/s"} {
		if got := rate.String(); got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "600": 10 * time.Minute, "10m": 10 * time.Minute, "14d": 14 * day, "1d12h": day + 12*time.Hour, "1.5h": 90 * time.Minute, "5s\n": 5 * time.Second, "250ms": 250 * time.Millisecond,
	} {
		if got, err := daemon.ParseDuration(text); err != nil || got != want {
			t.Errorf("%q = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "-1s", "-5", "1.5d", "99999999999d", "9999999999999999", "65535d2562047h", "5 minutes", "10m5"} {
		if got, err := daemon.ParseDuration(text); err == nil {
			t.Errorf("%q = %v, want an error", text, got)
		}
	}
}

func TestHostPorts(t *testing.T) {
	for text, want := range map[string]daemon.HostPorts{
		"none": {}, "NONE": {}, "router.example:6881": {"router.example:6881"}, "127.0.0.1:1, [::1]:2\n": {"127.0.0.1:1", "[::1]:2"},
	} {
		var got daemon.HostPorts
		if err := got.UnmarshalText([]byte(text)); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%q = %#v, %v, want %#v", text, got, err, want)
		}
	}
	refuse[daemon.HostPorts](t, "host", "host:", ":6881", "host:0", "host:65536", "a:1,b", "::1:1", "host:http")
}

func TestAddr(t *testing.T) {
	for _, text := range []string{":6881", "127.0.0.1:0", "[::1]:80", "localhost:8080"} {
		var got daemon.Addr
		var optional daemon.OptionalAddr
		if err := got.UnmarshalText([]byte(text)); err != nil || string(got) != text {
			t.Errorf("%q = %q, %v", text, got, err)
		}
		if err := optional.UnmarshalText([]byte(text)); err != nil || string(optional) != text {
			t.Errorf("optional %q = %q, %v", text, optional, err)
		}
	}
	refuse[daemon.Addr](t, "none", "8080", "", "host:port")
	refuse[daemon.OptionalAddr](t, "8080", "")
	off := daemon.OptionalAddr("x")
	if err := off.UnmarshalText([]byte("None")); err != nil || off != "" {
		t.Errorf("none = %q, %v", off, err)
	}
}

func TestLogSettings(t *testing.T) {
	refuse[daemon.LogFormat](t, "", "xml")
	refuse[daemon.LogLevel](t, "", "loud")
}

// refuse checks that texts give an error in the words of the user.
func refuse[T any, P interface {
	*T
	encoding.TextUnmarshaler
}](t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		var got T
		if err := P(&got).UnmarshalText([]byte(text)); err == nil || !strings.HasPrefix(err.Error(), "want ") {
			t.Errorf("%T of %q = %v, %v, want an error that says what is wanted", got, text, got, err)
		}
	}
}
