package snapshot_test

import (
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"snapswarm/common/snapshot"
)

func TestChannelLink(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	channel, err := snapshot.NewChannel(key, "daily")
	if err != nil {
		t.Fatal(err)
	}
	const want = "magnet:?xs=urn:btpk:3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29&s=6461696c79"
	if got := channel.String(); got != want {
		t.Errorf("String = %s, want %s", got, want)
	}
	if got, err := snapshot.ParseChannel(want + "&dn=ignored"); err != nil || got != channel {
		t.Errorf("ParseChannel = %v, %v, want %v", got, err, channel)
	}
}

func TestParseChannelRefuses(t *testing.T) {
	const key = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
	for name, link := range map[string]string{
		"no link":         "daily",
		"another scheme":  "http://?xs=urn:btpk:" + key + "&s=6461696c79",
		"no key":          "magnet:?s=6461696c79",
		"a short key":     "magnet:?xs=urn:btpk:3b6a&s=6461696c79",
		"no hex key":      "magnet:?xs=urn:btpk:" + strings.Repeat("z", 64) + "&s=6461696c79",
		"no salt":         "magnet:?xs=urn:btpk:" + key,
		"no hex salt":     "magnet:?xs=urn:btpk:" + key + "&s=daily",
		"an unsafe salt":  "magnet:?xs=urn:btpk:" + key + "&s=2e2e2f78",
		"a reserved salt": "magnet:?xs=urn:btpk:" + key + "&s=6c6174657374",
	} {
		if got, err := snapshot.ParseChannel(link); err == nil {
			t.Errorf("%s: ParseChannel(%q) = %v, want an error", name, link, got)
		}
	}
}

func TestDistinctSalts(t *testing.T) {
	a := snapshot.Channel{Key: [32]byte{1}, Salt: "daily"}
	b := snapshot.Channel{Key: [32]byte{2}, Salt: "daily"}
	c := snapshot.Channel{Key: [32]byte{1}, Salt: "weekly"}
	if err := snapshot.CheckDistinctSalts([]snapshot.Channel{a, c}); err != nil {
		t.Errorf("two salts: %v", err)
	}
	if err := snapshot.CheckDistinctSalts([]snapshot.Channel{a, c, b}); err == nil {
		t.Error("the same salt twice was accepted")
	}
}

func TestVersion(t *testing.T) {
	at := time.Date(2026, 11, 20, 7, 0, 0, 999, time.FixedZone("CET", 3600))
	if got := snapshot.NewVersion(at, 0); got != "20261120T060000Z" {
		t.Errorf("NewVersion = %s", got)
	}
	v, err := snapshot.ParseVersion("20261120T060000Z-h1234")
	if err != nil {
		t.Fatal(err)
	}
	if v.Height() != 1234 || !v.Time().Equal(at.Truncate(time.Second)) {
		t.Errorf("version %s has height %d and time %s", v, v.Height(), v.Time())
	}
	for _, bad := range []string{
		"", "latest", "20261120", "20261320T060000Z", "20261120T060000", "20261120T060000Z-h", "20261120T060000Z-h0",
		"20261120T060000Z-h01", "20261120T060000Z-h-1", "20261120T060000Z-h99999999999999999999", "20261120T060000Z/..", "2026112T0060000Z",
	} {
		if got, err := snapshot.ParseVersion(bad); err == nil {
			t.Errorf("ParseVersion(%q) = %s, want an error", bad, got)
		}
	}
}

func TestInfoHash(t *testing.T) {
	const text = "0123456789abcdef0123456789abcdef01234567"
	h, err := snapshot.ParseInfoHash(strings.ToUpper(text))
	if err != nil || h.String() != text {
		t.Errorf("ParseInfoHash = %s, %v", h, err)
	}
	for _, bad := range []string{"", text[1:], text + "0", "g" + text[1:], strings.Repeat("x", 10_000)} {
		if _, err := snapshot.ParseInfoHash(bad); err == nil || len(err.Error()) > 300 {
			t.Errorf("ParseInfoHash(%d characters): error %v", len(bad), err)
		}
	}
}

func TestCheckFileName(t *testing.T) {
	for _, good := range []string{"data.ldb.zst", "a", "Größe.tar.zst", "a b.zst", "x..y"} {
		if err := snapshot.CheckFileName(good); err != nil {
			t.Errorf("CheckFileName(%q) = %v", good, err)
		}
	}
	for _, bad := range []string{
		"", ".", "..", "../x", "a/b", `a\b`, "\x00", "a\x1b[2J", "a\u202eb", "x ", " x", "x.", "C:x", "a\xffb", strings.Repeat("a", 201),
	} {
		if err := snapshot.CheckFileName(bad); err == nil {
			t.Errorf("CheckFileName(%q) accepted it", bad)
		}
	}
}

func FuzzParseChannel(f *testing.F) {
	f.Add("magnet:?xs=urn:btpk:3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29&s=6461696c79")
	f.Fuzz(func(t *testing.T, link string) {
		c, err := snapshot.ParseChannel(link)
		if err != nil {
			return
		}
		if again, err := snapshot.ParseChannel(c.String()); err != nil || again != c {
			t.Errorf("ParseChannel(%q) = %v, which reads back as %v, %v", link, c, again, err)
		}
	})
}

func FuzzParseVersion(f *testing.F) {
	f.Add("20261120T060000Z")
	f.Add("20261120T060000Z-h1234")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := snapshot.ParseVersion(s)
		if err == nil && snapshot.NewVersion(v.Time(), v.Height()) != v {
			t.Errorf("version %q does not round-trip", v)
		}
	})
}
