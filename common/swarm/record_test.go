package swarm

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testRecord() *record {
	r := &record{
		infoHash: [20]byte{1, 2, 3}, size: 1 << 40, inode: 77,
		modified: time.Unix(1_700_000_000, 123), until: time.Unix(1_700_000_600, 5), have: newBitfield(19), damaged: newBitfield(19),
	}
	for _, i := range []int{0, 3, 8, 18} {
		r.have.set(i)
	}
	r.damaged.set(5)
	return r
}

func TestRecordSurvivesEncoding(t *testing.T) {
	want := testRecord()
	got, err := parseRecord(want.encode())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(record{})); d != "" {
		t.Errorf("after encoding (-want +got):\n%s", d)
	}
	for i := range 19 {
		if want := i == 0 || i == 3 || i == 8 || i == 18; got.have.has(i) != want {
			t.Errorf("piece %d: %v, want %v", i, got.have.has(i), want)
		}
	}
	if got.have[0] != 0b1001_0000 {
		t.Errorf("first byte = %08b: piece 0 must be the highest bit", got.have[0])
	}
}

// A record of version 1, as programs before this one wrote it, is good for what it says.
func TestRecordOfVersion1(t *testing.T) {
	want := testRecord()
	b := want.encode()
	b = b[:len(b)-sha256.Size-len(want.damaged)]
	copy(b, recordMagic1)
	got, err := parseRecord(withSum(b))
	if err != nil {
		t.Fatal(err)
	}
	want.damaged = newBitfield(19)
	if d := cmp.Diff(want, got, cmp.AllowUnexported(record{})); d != "" {
		t.Errorf("a record of version 1 is read as (-want +got):\n%s", d)
	}
}

func TestDamagedRecordIsRefused(t *testing.T) {
	good := testRecord().encode()
	bad := map[string][]byte{
		"empty":          nil,
		"short":          good[:40],
		"cut":            good[:len(good)-1],
		"longer":         append(bytes.Clone(good), 0),
		"another format": append([]byte("snappcs\x03"), good[8:]...),
	}
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1
		if _, err := parseRecord(b); !errors.Is(err, errBadRecord) {
			t.Errorf("byte %d flipped: error = %v, want errBadRecord", i, err)
		}
	}
	for name, b := range bad {
		if _, err := parseRecord(b); !errors.Is(err, errBadRecord) {
			t.Errorf("%s: error = %v, want errBadRecord", name, err)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add(testRecord().encode())
	f.Add([]byte(recordMagic))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			if !errors.Is(err, errBadRecord) {
				t.Errorf("error %v does not wrap errBadRecord", err)
			}
			return
		}
		if again, err := parseRecord(r.encode()); err != nil || !cmp.Equal(again, r, cmp.AllowUnexported(record{})) {
			t.Errorf("an accepted record is another one after encoding: %v", err)
		}
	})
}

// The checksum keeps the fuzzer out of the fields, so this one computes it.
func FuzzParseRecordFields(f *testing.F) {
	f.Add(testRecord().encode()[len(recordMagic):recordHeader], []byte{0xff, 0x80})
	f.Fuzz(func(t *testing.T, header, have []byte) {
		if len(header) != recordHeader-len(recordMagic) {
			return
		}
		b := withSum(append(append([]byte(recordMagic), header...), have...))
		r, err := parseRecord(b)
		if len(have)%2 != 0 && errors.Is(err, errBadRecord) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(r.encode(), b) {
			t.Error("an accepted record encodes to other bytes")
		}
	})
}
