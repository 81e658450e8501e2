package bucket_test

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

func TestPointerSource(t *testing.T) {
	store, err := bucket.Open(bucket.Config{URL: "file://" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	ch, err := snapshot.NewChannel(key.Public().(ed25519.PublicKey), "daily")
	if err != nil {
		t.Fatal(err)
	}
	source := bucket.PointerSource(store)
	if source.Name() != store.String() {
		t.Errorf("Name = %q, want %q", source.Name(), store)
	}
	if got, err := source.Lookup(t.Context(), ch); len(got) != 0 || err != nil {
		t.Errorf("Lookup in an empty bucket = %v, %v, want nothing", got, err)
	}
	rec, err := pointer.Sign(key, "daily", time.Now().UnixMilli(), pointer.Pointer{InfoHash: snapshot.InfoHash{1}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		content []byte
		records int
		err     error
	}{
		{rec.Encode(), 1, nil},
		{[]byte("<html>not found</html>"), 0, pointer.ErrMalformed},
		{make([]byte, bucket.MaxPointerSize+1), 0, pointer.ErrTooLarge},
	} {
		err := store.Put(t.Context(), bucket.PointerKey("daily"), bytes.NewReader(c.content), int64(len(c.content)), bucket.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := source.Lookup(t.Context(), ch)
		if len(got) != c.records || !errors.Is(err, c.err) {
			t.Errorf("Lookup of %.10q… = %d records, %v, want %d, %v", c.content, len(got), err, c.records, c.err)
		}
	}
}
