package pointer_test

import (
	"bytes"
	"testing"

	"snapswarm/common/pointer"
)

func FuzzParseRecord(f *testing.F) {
	for _, r := range []pointer.Record{signRaw(7, "4:abcd"), signRaw(1, "d2:ih20:aaaaaaaaaaaaaaaaaaaae")} {
		f.Add(r.Encode())
	}
	f.Add([]byte("d1:k32:"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, err := pointer.ParseRecord(b)
		if err != nil {
			return
		}
		if !bytes.Equal(rec.Encode(), b) {
			t.Errorf("ParseRecord(%q) encodes to %q", b, rec.Encode())
		}
		_ = rec.Verify(testChannel())
		_, _ = rec.Pointer()
	})
}

func FuzzPointer(f *testing.F) {
	rec, err := pointer.Sign(testKey(), "daily", 7, fullPointer())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(rec.Value)
	f.Add([]byte("20:aaaaaaaaaaaaaaaaaaaa"))
	f.Add([]byte("d2:ih20:aaaaaaaaaaaaaaaaaaaa1:p0:e"))
	f.Fuzz(func(t *testing.T, value []byte) {
		p, err := pointer.Record{Value: value}.Pointer()
		if err != nil || p.InfoHash.IsZero() {
			return
		}
		if !p.Created.IsZero() && !p.Expires.IsZero() && p.Expires.Before(p.Created) {
			return // read, but not written
		}
		again, err := pointer.Sign(testKey(), "daily", 7, p)
		if err != nil {
			t.Fatalf("Sign refuses what was read from %q: %v", value, err)
		}
		q, err := again.Pointer()
		if err != nil || q.InfoHash != p.InfoHash || q.BaseURL != p.BaseURL || !q.Expires.Equal(p.Expires) || len(q.Patches) != len(p.Patches) {
			t.Errorf("%q became %+v, then %+v, %v", value, p, q, err)
		}
	})
}
