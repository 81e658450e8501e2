package publish_test

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"snapswarm/common/archive"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

// generated are all bytes of a source.
func generated(t *testing.T, s publish.Source) []byte {
	t.Helper()
	r, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAPlaceholderHasItsSizeAndAlwaysTheSameBytes(t *testing.T) {
	for _, size := range []int64{1, 511, 512 << 10, 512<<10 + 7, 1 << 20, 1<<20 + 1, 3<<20 - 1} {
		s := publish.Placeholder(size, 1)
		one := generated(t, s)
		if int64(len(one)) != size || s.Size() != size {
			t.Errorf("%d bytes, Size %d; want %d", len(one), s.Size(), size)
		}
		if !bytes.Equal(one, generated(t, s)) || !bytes.Equal(one, generated(t, publish.Placeholder(size, 1))) {
			t.Errorf("%d bytes are not the same the second time", size)
		}
		if size > 16 && bytes.Equal(one, generated(t, publish.Placeholder(size, 2))) {
			t.Errorf("%d bytes of another seed are the same", size)
		}
	}
	// Another machine, and a later release, must be able to make the same.
	sum := sha256.Sum256(generated(t, publish.Placeholder(2<<20, 0)))
	if got, want := hex.EncodeToString(sum[:]), "273d8c397ff4c5fb6ad55e5645314572e9ba7feeb9c302487228ba418eb72c83"; got != want {
		t.Errorf("2 MiB have SHA-256 %s, want %s", got, want)
	}
}

func TestAPlaceholderIsOfTwoKinds(t *testing.T) {
	b := generated(t, publish.Placeholder(4<<20, 0))
	const half = 512 << 10
	for at := 0; at < len(b); at += half {
		var packed bytes.Buffer
		w, err := flate.NewWriter(&packed, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b[at : at+half]); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		share := float64(packed.Len()) / half
		if random := at/half%2 == 0; (random && share < 1) || (!random && (share > 0.25 || share < 0.02)) {
			t.Errorf("the half at %d packs to %.3f of its size", at, share)
		}
	}
	if bytes.Equal(b[:1<<20], b[1<<20:2<<20]) {
		t.Error("the first two blocks are the same")
	}
}

// TestTheRoomOfAPlaceholder: what the disk is asked for is enough, and not much more than what is needed.
func TestTheRoomOfAPlaceholder(t *testing.T) {
	for _, level := range []archive.Level{archive.Fastest, archive.Balanced, archive.Better, archive.Best} {
		for _, size := range []int64{1, 100_000, 512 << 10, 1 << 20, 9<<20 + 12345} {
			s := publish.Placeholder(size, 0)
			got, err := archive.Write(t.Context(), io.Discard, s, archive.Options{Level: level})
			if err != nil {
				t.Fatal(err)
			}
			if got.Size > s.Packed || s.Packed > got.Size+got.Size/4+8<<10 {
				t.Errorf("%d bytes at level %s need %d, of which %d are asked for", size, level, got.Size, s.Packed)
			}
		}
	}
}

func TestAPlaceholderThatDoesNotFitIsRefused(t *testing.T) {
	const size = 1 << 60
	for _, passThrough := range []bool{false, true} {
		b := newBench(t)
		b.cfg.PassThrough = passThrough
		_, err := b.publishSource(publish.Placeholder(size, 0))
		var space *publish.SpaceError
		if !errors.As(err, &space) || (passThrough && space.Need != size) || (!passThrough && (space.Need < size/2 || space.Need > size*2/3)) {
			t.Errorf("passed through %v: publish = %v", passThrough, err)
		}
		if left := append(b.objects(), files(t, b.cfg.DataDir)...); len(left) != 1 || left[0] != salt+"/lease" {
			t.Errorf("it left %q", left)
		}
	}
}

func TestAPlaceholderEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := publish.Placeholder(1<<50, 0).Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := r.Read(make([]byte, 100)); n != 100 || err != nil {
		t.Errorf("Read = %d, %v", n, err)
	}
	cancel(errBroken)
	if n, err := r.Read(make([]byte, 100)); n != 0 || !errors.Is(err, errBroken) {
		t.Errorf("Read = %d, %v after the end", n, err)
	}
}

func TestTheChannelOfAPlaceholder(t *testing.T) {
	for _, row := range []struct{ salt, want string }{
		{"chain", "chain-placeholder"},
		{"a", "a-placeholder"},
		{"chain-placeholder", "chain-placeholder-placeholder"},
		{strings.Repeat("b", 52), strings.Repeat("b", 52) + "-placeholder"},
	} {
		if got := publish.PlaceholderSalt(row.salt); got != row.want {
			t.Errorf("PlaceholderSalt(%q) = %q, want %q", row.salt, got, row.want)
		}
	}
	seen := make(map[string]string)
	for n := 1; n <= snapshot.MaxSaltLength; n++ {
		for _, salt := range []string{strings.Repeat("c", n), strings.Repeat("c", n-1) + "d"} {
			got := publish.PlaceholderSalt(salt)
			if err := snapshot.CheckSalt(got); err != nil || len(got) == len(salt) || !strings.HasSuffix(got, "-placeholder") {
				t.Errorf("PlaceholderSalt(%q) = %q, %v", salt, got, err)
			}
			if other, ok := seen[got]; ok {
				t.Errorf("%q and %q have both the placeholder %q", salt, other, got)
			}
			seen[got] = salt
		}
	}
}

// TestAPlaceholderIsPublishedAndResumed: what was interrupted goes on, because the same is generated again.
func TestAPlaceholderIsPublishedAndResumed(t *testing.T) {
	b := newBench(t)
	broken := b.breakOn("put torrents/")
	b.cfg.Store = broken
	if _, err := b.publishSource(publish.Placeholder(3<<20+5, 0)); !errors.Is(err, errBroken) {
		t.Fatalf("publish = %v, want %v", err, errBroken)
	}
	v := b.unfinished()
	broken.mend()
	rep, err := b.publishSource(publish.Placeholder(3<<20+5, 0))
	if err != nil || !rep.Resumed || rep.Version != v || rep.File != "placeholder.zst" || rep.RawSize != 3<<20+5 {
		t.Errorf("publish = %+v, %v; want %s again", rep, err, v)
	}
	tor := b.check()
	if want := sha256.Sum256(generated(t, publish.Placeholder(3<<20+5, 0))); tor.Description.RawSHA256 != want {
		t.Errorf("the snapshot is of %x, want %x", tor.Description.RawSHA256, want)
	}
	if rep, err = b.publishSource(publish.Placeholder(1<<20, 0)); err != nil || rep.Resumed || rep.RawSize != 1<<20 {
		t.Errorf("another size: %+v, %v", rep, err)
	}
}
