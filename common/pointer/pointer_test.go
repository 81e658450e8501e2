package pointer_test

import (
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

func TestForeignValuesAreRead(t *testing.T) {
	ih, v2 := strings.Repeat("\x01", 20), strings.Repeat("\x02", 32)
	for name, c := range map[string]struct {
		value string
		want  pointer.Pointer
	}{
		"ih alone (BEP 46)":     {"d2:ih20:" + ih + "e", pointer.Pointer{InfoHash: infoHash(1)}},
		"a raw v1 info-hash":    {"20:" + ih, pointer.Pointer{InfoHash: infoHash(1)}},
		"a raw v2 info-hash":    {"32:" + v2, pointer.Pointer{InfoHash: infoHash(2), InfoHashV2: filled(2)}},
		"keys of other authors": {"d1:Ad1:bli1eee2:ih20:" + ih + "2:zz0:e", pointer.Pointer{InfoHash: infoHash(1)}},
	} {
		got, err := signRaw(7, c.value).Pointer()
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v, (-want +got):\n%s", name, err, diff)
		}
		if got.Stale(time.Now().Add(1000 * time.Hour)) {
			t.Errorf("%s: stale, though its expiry is unknown", name)
		}
	}
}

func TestBrokenValuesAreRefused(t *testing.T) {
	ih := "2:ih20:" + strings.Repeat("\x01", 20)
	for name, value := range map[string]string{
		"empty":                  "",
		"an integer":             "i1e",
		"a string of 21 bytes":   "21:" + strings.Repeat("x", 21),
		"no ih":                  "d1:ci1ee",
		"ih of zeros":            "d2:ih20:" + strings.Repeat("\x00", 20) + "e",
		"a short ih":             "d2:ih3:abce",
		"ih as a number":         "d2:ihi1ee",
		"keys out of order":      "d" + ih + "1:ci1ee",
		"bytes behind":           "d" + ih + "ee",
		"created in 1969":        "d1:ci-1e" + ih + "e",
		"expiry beyond 9999":     "d" + ih + "1:xi253402300800ee",
		"a negative height":      "d1:hi-1e" + ih + "e",
		"half a pair":            "d" + ih + "1:p20:" + strings.Repeat("x", 20) + "e",
		"six pairs":              "d" + ih + "1:p240:" + strings.Repeat("x", 240) + "e",
		"a file URL":             "d" + ih + "1:u11:file:///etce",
		"a URL with a password":  "d" + ih + "1:u20:https://me:pw@host/xe",
		"a URL of 513 bytes":     "d" + ih + "1:u513:https://h/" + strings.Repeat("x", 503) + "e",
		"a dictionary cut short": "d" + ih,
	} {
		p, err := signRaw(7, value).Pointer()
		if !errors.Is(err, pointer.ErrMalformed) {
			t.Errorf("%s: Pointer() = %+v, %v, want %v", name, p, err, pointer.ErrMalformed)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	with := func(change func(*pointer.Pointer)) pointer.Pointer {
		p := fullPointer()
		change(&p)
		return p
	}
	for name, c := range map[string]struct {
		p    pointer.Pointer
		salt string
		seq  int64
		want error
	}{
		"no info-hash":       {with(func(p *pointer.Pointer) { p.InfoHash = snapshot.InfoHash{} }), "daily", 1, pointer.ErrMalformed},
		"six patches":        {with(func(p *pointer.Pointer) { p.Patches = make([]pointer.Patch, 6) }), "daily", 1, pointer.ErrMalformed},
		"a relative URL":     {with(func(p *pointer.Pointer) { p.BaseURL = "host/path" }), "daily", 1, pointer.ErrMalformed},
		"a query":            {with(func(p *pointer.Pointer) { p.BaseURL = "https://host/?a=b" }), "daily", 1, pointer.ErrMalformed},
		"a broken URL":       {with(func(p *pointer.Pointer) { p.BaseURL = "https://ho st/" }), "daily", 1, pointer.ErrMalformed},
		"a long URL":         {with(func(p *pointer.Pointer) { p.BaseURL = "https://h/" + strings.Repeat("x", 503) }), "daily", 1, pointer.ErrTooLarge},
		"expired at birth":   {with(func(p *pointer.Pointer) { p.Expires = p.Created.Add(-time.Second) }), "daily", 1, pointer.ErrMalformed},
		"created in 1960":    {with(func(p *pointer.Pointer) { p.Created = time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC) }), "daily", 1, pointer.ErrMalformed},
		"an absurd height":   {with(func(p *pointer.Pointer) { p.Height = 1 << 63 }), "daily", 1, pointer.ErrMalformed},
		"a salt of 65 bytes": {fullPointer(), strings.Repeat("a", 65), 1, pointer.ErrTooLarge},
		"seq zero":           {fullPointer(), "daily", 0, pointer.ErrSequence},
	} {
		if _, err := pointer.Sign(testKey(), c.salt, c.seq, c.p); !errors.Is(err, c.want) {
			t.Errorf("%s: Sign = %v, want %v", name, err, c.want)
		}
	}
	if _, err := pointer.Sign(ed25519.PrivateKey("short"), "daily", 1, fullPointer()); err == nil {
		t.Error("Sign with a short key succeeded")
	}
}

func TestTheLargestPointerFits(t *testing.T) {
	p := fullPointer()
	p.BaseURL = "https://h/" + strings.Repeat("x", pointer.MaxBaseURL-len("https://h/"))
	p.Patches = make([]pointer.Patch, pointer.MaxPatches)
	p.Height = 1<<63 - 1
	p.Created, p.Expires = time.Unix(253402300798, 0), time.Unix(253402300799, 0)
	rec, err := pointer.Sign(testKey(), strings.Repeat("a", 64), 1<<63-1, p)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(rec.Value); n > pointer.MaxValueSize {
		t.Errorf("value has %d bytes", n)
	}
	if n := len(rec.Encode()); n > pointer.MaxRecordSize {
		t.Errorf("record has %d bytes, of which only %d are read", n, pointer.MaxRecordSize)
	}
	t.Logf("value %d bytes, record %d bytes", len(rec.Value), len(rec.Encode()))
}

func TestStale(t *testing.T) {
	p := fullPointer()
	if p.Stale(p.Expires) {
		t.Error("stale at the very second of its expiry")
	}
	if !p.Stale(p.Expires.Add(time.Second)) {
		t.Error("not stale a second after its expiry")
	}
}
