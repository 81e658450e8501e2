package pointer_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// testKey is the fixed key of the golden files: its seed is 0, 1, 2 … 31.
func testKey() ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	for i := range seed {
		seed[i] = byte(i)
	}
	return ed25519.NewKeyFromSeed(seed)
}

func testChannel() snapshot.Channel {
	ch, err := snapshot.NewChannel(testKey().Public().(ed25519.PublicKey), "daily")
	if err != nil {
		panic(err)
	}
	return ch
}

var testTime = time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)

func infoHash(b byte) (h snapshot.InfoHash) { copy(h[:], bytes.Repeat([]byte{b}, 20)); return h }

func filled(b byte) *[32]byte { return (*[32]byte)(bytes.Repeat([]byte{b}, 32)) }

func fullPointer() pointer.Pointer {
	return pointer.Pointer{
		InfoHash: infoHash(1), InfoHashV2: filled(2), InfoSHA256: filled(3),
		Created: testTime, Expires: testTime.Add(14 * 24 * time.Hour), Height: 123456789,
		BaseURL: "https://snapshots.example.org/nano",
		Patches: []pointer.Patch{{From: infoHash(4), Patch: infoHash(5)}, {From: infoHash(6), Patch: infoHash(7)}},
	}
}

// sign makes a valid record of the test channel that differs with seq and ih.
func sign(t *testing.T, seq int64, ih byte) pointer.Record {
	t.Helper()
	rec, err := pointer.Sign(testKey(), "daily", seq, pointer.Pointer{InfoHash: infoHash(ih)})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// signRaw signs any value, also one that Sign refuses.
func signRaw(seq int64, value string) pointer.Record {
	key := testKey()
	rec := pointer.Record{Salt: "daily", Seq: seq, Value: []byte(value)}
	copy(rec.Key[:], key.Public().(ed25519.PublicKey))
	copy(rec.Sig[:], ed25519.Sign(key, pointer.Signed(rec)))
	return rec
}

func TestRecordsKeepTheirBytes(t *testing.T) {
	for name, p := range map[string]pointer.Pointer{
		"full":    fullPointer(),
		"minimal": {InfoHash: infoHash(1)},
	} {
		t.Run(name, func(t *testing.T) {
			rec, err := pointer.Sign(testKey(), "daily", testTime.UnixMilli(), p)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, rec.Encode(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(golden), string(rec.Encode())); diff != "" {
				t.Errorf("the public format changed (-golden +now):\n%s", diff)
			}
			parsed, err := pointer.ParseRecord(golden)
			if err != nil {
				t.Fatal(err)
			}
			if err := parsed.Verify(testChannel()); err != nil {
				t.Errorf("Verify of the golden record = %v", err)
			}
			got, err := parsed.Pointer()
			if diff := cmp.Diff(p, got); err != nil || diff != "" {
				t.Errorf("Pointer() error %v, (-want +got):\n%s", err, diff)
			}
		})
	}
}

// The vectors of BEP 44 for mutable items. Their private key is given in expanded form only, so that
// signing cannot be shown with them; signatures and targets can.
func TestVectorsOfBEP44(t *testing.T) {
	key := unhex(t, "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548")
	for _, v := range []struct{ name, salt, signed, sig, target string }{
		{
			"without salt", "", "3:seqi1e1:v12:Hello World!",
			"305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff" +
				"1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01",
			"4a533d47ec9c7d95b1ad75f576cffc641853b750",
		},
		{
			"with salt", "foobar", "4:salt6:foobar3:seqi1e1:v12:Hello World!",
			"6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d" +
				"df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08",
			"411eba73b6f087ca51a3795d9c8c938d365e32c1",
		},
	} {
		t.Run(v.name, func(t *testing.T) {
			rec := pointer.Record{Salt: v.salt, Seq: 1, Value: []byte("12:Hello World!")}
			copy(rec.Key[:], key)
			copy(rec.Sig[:], unhex(t, v.sig))
			if got := string(pointer.Signed(rec)); got != v.signed {
				t.Errorf("signed buffer %q, want %q", got, v.signed)
			}
			if err := rec.Verify(rec.Channel()); err != nil {
				t.Errorf("Verify = %v", err)
			}
			if got := rec.Target(); hex.EncodeToString(got[:]) != v.target {
				t.Errorf("target %x, want %s", got, v.target)
			}
			parsed, err := pointer.ParseRecord(rec.Encode())
			if err != nil || !cmp.Equal(parsed, rec) {
				t.Errorf("ParseRecord(Encode) = %v, %v", parsed, err)
			}
			rec.Seq = 2
			if err := rec.Verify(rec.Channel()); !errors.Is(err, pointer.ErrSignature) {
				t.Errorf("Verify with another seq = %v, want %v", err, pointer.ErrSignature)
			}
		})
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVerifyRefuses(t *testing.T) {
	other := testChannel()
	other.Key[0] ^= 1
	otherSalt := snapshot.Channel{Key: testChannel().Key, Salt: "weekly"}
	good := sign(t, 7, 1)
	forged, swapped := good, good
	forged.Sig[3] ^= 1
	swapped.Value = sign(t, 7, 2).Value
	for _, c := range []struct {
		name string
		ch   snapshot.Channel
		rec  pointer.Record
		want error
		text string
	}{
		{"another key", other, good, pointer.ErrWrongChannel, "signed with key 03a107"},
		{"another salt", otherSalt, good, pointer.ErrWrongChannel, `of salt "daily", want "weekly"`},
		{"a changed signature", testChannel(), forged, pointer.ErrSignature, "seq 7 was not signed"},
		{"a changed value", testChannel(), swapped, pointer.ErrSignature, "seq 7 was not signed"},
		{"seq zero", testChannel(), signRaw(0, "4:abcd"), pointer.ErrSequence, "0"},
		{"a negative seq", testChannel(), signRaw(-1, "4:abcd"), pointer.ErrSequence, "-1"},
		{"1001 bytes", testChannel(), signRaw(7, "996:"+strings.Repeat("x", 997)), pointer.ErrTooLarge, "has 1001 bytes, at most 1000"},
	} {
		err := c.rec.Verify(c.ch)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: Verify = %v, want %v with %q", c.name, err, c.want, c.text)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error has more than one line: %q", c.name, err)
		}
	}
	if err := good.Verify(testChannel()); err != nil {
		t.Errorf("Verify of the unchanged record = %v", err)
	}
}

func TestTimeLimitIsTenMinutes(t *testing.T) {
	at := func(d time.Duration) pointer.Record { return sign(t, testTime.Add(d).UnixMilli(), 1) }
	if err := at(10 * time.Minute).CheckTime(testTime); err != nil {
		t.Errorf("ten minutes ahead: %v", err)
	}
	if err := at(10*time.Minute + time.Millisecond).CheckTime(testTime); !errors.Is(err, pointer.ErrFuture) {
		t.Errorf("a millisecond more = %v, want %v", err, pointer.ErrFuture)
	}
	if err := at(-1000 * time.Hour).CheckTime(testTime); err != nil {
		t.Errorf("long ago: %v", err)
	}
}

func TestParseRecordRefuses(t *testing.T) {
	good := string(sign(t, 7, 1).Encode())
	replaced := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("%q is not in %q", from, good)
		}
		return strings.Replace(good, from, to, 1)
	}
	large := signRaw(7, "996:"+strings.Repeat("x", 996))
	large.Value = append(large.Value[:4:4], bytes.Repeat([]byte("x"), 997)...)
	large.Value[2] = '7'
	for name, c := range map[string]struct {
		in   string
		want error
		text string
	}{
		"nothing":                 {"", pointer.ErrMalformed, "ends too early"},
		"a web page":              {"<!DOCTYPE html>", pointer.ErrMalformed, "'<'"},
		"a cut record":            {good[:100], pointer.ErrMalformed, "ends too early"},
		"bytes behind":            {good + "x", pointer.ErrMalformed, "bytes follow"},
		"a value of 1001 bytes":   {string(large.Encode()), pointer.ErrTooLarge, "the value has 1001 bytes, at most 1000 are allowed"},
		"a huge file":             {strings.Repeat("x", 3000), pointer.ErrTooLarge, "3000 bytes, at most 2048"},
		"a short key":             {"d1:k3:abce", pointer.ErrMalformed, `key "k": has 3 bytes, want 32`},
		"an unknown key":          {"d1:ai1e" + good[1:], pointer.ErrMalformed, "does not belong"},
		"a key twice":             {replaced("3:seqi7e", "3:seqi7e3:seqi7e"), pointer.ErrMalformed, "not in order"},
		"a missing key":           {replaced("3:seqi7e", ""), pointer.ErrMalformed, "missing"},
		"seq with a leading zero": {replaced("i7e", "i07e"), pointer.ErrMalformed, "no number"},
		"seq beyond 64 bits":      {replaced("i7e", "i99999999999999999999999e"), pointer.ErrMalformed, "number without an end"},
		"seq zero":                {replaced("i7e", "i0e"), pointer.ErrSequence, ""},
		"a long salt":             {replaced("5:daily", "65:"+strings.Repeat("a", 65)), pointer.ErrTooLarge, "salt has 65"},
		"a deep value":            {replaced("1:vd2:ih20:", "1:v"+strings.Repeat("l", 60)), pointer.ErrMalformed, "nested deeper"},
	} {
		_, err := pointer.ParseRecord([]byte(c.in))
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: ParseRecord = %v, want %v with %q", name, err, c.want, c.text)
		}
	}
}
