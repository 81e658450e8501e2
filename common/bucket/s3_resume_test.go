package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/common/bucket/s3test"
)

// eachServer runs a test against the embedded server and the real program.
func eachServer(t *testing.T, test func(t *testing.T, f *relay)) {
	t.Run("embedded", func(t *testing.T) { test(t, newRelay(t, s3test.New(t))) })
	t.Run("process", func(t *testing.T) { test(t, newRelay(t, s3test.NewProcess(t))) })
}

func TestAnUploadGoesOnWithWhatIsMissing(t *testing.T) {
	eachServer(t, func(t *testing.T, f *relay) {
		want := random(1, fiveParts)
		f.breakAt("4")
		err := f.store(t).Put(t.Context(), object, bytes.NewReader(want), fiveParts, bucket.Defaults(object))
		if !errors.Is(err, bucket.ErrUnreachable) || len(f.uploads(t)) != 1 {
			t.Fatalf("put: %v, unfinished uploads %v; want ErrUnreachable and one", err, f.uploads(t))
		}
		f.Mend()
		var last, first int64
		o := bucket.Defaults(object)
		o.Progress = func(sent int64) {
			if last = sent; first == 0 {
				first = sent
			}
		}
		if err := f.store(t).Put(t.Context(), object, bytes.NewReader(want), fiveParts, o); err != nil {
			t.Fatal(err)
		}
		if sent := f.Sent(); sent != fiveParts-3*partLength {
			t.Errorf("%d bytes were sent, want the %d that were missing", sent, fiveParts-3*partLength)
		}
		if first != partLength || last != fiveParts {
			t.Errorf("progress went from %d to %d, want from the first part that is there to all", first, last)
		}
		f.checkObject(t, want)
	})
}

func TestACancelledUploadGoesOn(t *testing.T) {
	f := newRelay(t, s3test.New(t))
	want := random(1, fiveParts)
	ctx, cancel := context.WithCancel(t.Context())
	f.Break(func(r *http.Request) bool {
		if r.URL.Query().Get("partNumber") == "3" {
			cancel()
		}
		return false
	})
	err := f.store(t).Put(ctx, object, bytes.NewReader(want), fiveParts, bucket.PutOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("put: %v, want it cancelled", err)
	}
	f.Mend()
	if err := f.store(t).Put(t.Context(), object, bytes.NewReader(want), fiveParts, bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if sent := f.Puts(); sent != 3 {
		t.Errorf("%d parts were sent, want the 3 that were missing", sent)
	}
	f.checkObject(t, want)
}

func TestPartsThatAreNotOursAreReplaced(t *testing.T) {
	eachServer(t, func(t *testing.T, f *relay) {
		want, other := random(1, fiveParts), random(2, fiveParts)
		f.begin(t, object, part(want, 1), part(other, 2), part(want, 3)[:1000], part(want, 1))
		if err := f.store(t).Put(t.Context(), object, bytes.NewReader(want), fiveParts, bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if sent := f.Sent(); sent != fiveParts-partLength {
			t.Errorf("%d bytes were sent, want all but the first part", sent)
		}
		f.checkObject(t, want)
	})
}

func TestTheUploadWithMostIsTaken(t *testing.T) {
	eachServer(t, func(t *testing.T, f *relay) {
		want, other := random(1, fiveParts), random(2, fiveParts)
		f.begin(t, object, part(want, 1))
		f.begin(t, object, part(other, 1), part(other, 2), part(other, 3))
		f.begin(t, object, nil, part(want, 2), part(want, 3))
		f.begin(t, object)
		if err := f.store(t).Put(t.Context(), object, bytes.NewReader(want), fiveParts, bucket.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if sent := f.Sent(); sent != fiveParts-2*partLength {
			t.Errorf("%d bytes were sent, want all but two parts", sent)
		}
		f.checkObject(t, want)
	})
}

func TestUploadsOfOthersAreLeftAlone(t *testing.T) {
	f := newRelay(t, s3test.New(t))
	want := random(1, fiveParts)
	theirs := f.begin(t, object+".torrent", part(want, 1), part(want, 2))
	if err := f.store(t).Put(t.Context(), object, bytes.NewReader(want), fiveParts, bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if sent := f.Sent(); sent != fiveParts {
		t.Errorf("%d bytes were sent, want all %d", sent, fiveParts)
	}
	if left := f.uploads(t); len(left) != 1 || left[0] != theirs {
		t.Errorf("unfinished uploads %v, want %s of the other key", left, theirs)
	}
}

func TestWhatIsThereIsNotSentAgain(t *testing.T) {
	eachServer(t, func(t *testing.T, f *relay) {
		for _, size := range []int{1 << 20, largeSize} {
			want, other := random(1, size), random(2, size)
			put := func(b []byte, o bucket.PutOptions) int64 {
				f.Mend()
				if err := f.store(t).Put(t.Context(), object, bytes.NewReader(b), int64(size), o); err != nil {
					t.Fatal(err)
				}
				f.checkObject(t, b)
				return f.Sent()
			}
			if sent := put(want, bucket.Defaults(object)); sent != int64(size) {
				t.Errorf("%d bytes: at first %d were sent", size, sent)
			}
			var told int64
			o := bucket.Defaults(object)
			o.Progress = func(sent int64) { told = sent }
			if sent := put(want, o); sent != 0 || told != int64(size) {
				t.Errorf("%d bytes: %d were sent again, progress was told %d", size, sent, told)
			}
			if sent := put(other, bucket.Defaults(object)); sent != int64(size) {
				t.Errorf("%d bytes: %d of another content were sent", size, sent)
			}
			if sent := put(other, bucket.PutOptions{CacheControl: "no-store"}); sent != int64(size) {
				t.Errorf("%d bytes: %d with other metadata were sent", size, sent)
			}
		}
	})
}

// TestServersThatTellLess has what other servers say, or do not say, of uploads, and how many of two parts are sent again
// after the second failed.
func TestServersThatTellLess(t *testing.T) {
	refused := func(status int, code string, kinds ...string) func(string) *answer {
		return func(kind string) *answer {
			if slices.Contains(kinds, kind) {
				return &answer{status: status, code: code}
			}
			return nil
		}
	}
	for name, test := range map[string]struct {
		say          func(kind string) *answer
		mute, sealed bool
		page         bool
		sent         int
	}{
		"checksums":                        {sent: 1},
		"one part a page":                  {page: true, sent: 1},
		"no SHA-256, but MD5":              {mute: true, sent: 1},
		"SHA-256 and encrypted":            {sealed: true, sent: 1},
		"neither":                          {mute: true, sealed: true, sent: 2},
		"no lists of uploads":              {say: refused(501, "NotImplemented", "uploads"), sent: 2},
		"no lists of uploads for us":       {say: refused(403, "AccessDenied", "uploads"), sent: 2},
		"no lists of uploads, in a way":    {say: refused(405, "MethodNotAllowed", "uploads"), sent: 2},
		"no lists of parts":                {say: refused(501, "NotImplemented", "parts"), sent: 2},
		"no description of objects":        {say: refused(403, "AccessDenied", "head"), sent: 1},
		"an upload that is gone meanwhile": {say: refused(404, "NoSuchUpload", "parts"), sent: 2},
	} {
		t.Run(name, func(t *testing.T) {
			broken := true
			f, s := fakeParallel(t, 1, func(kind string, nth int) *answer {
				if broken && kind == "part" && nth == 2 {
					return &answer{status: 403, code: "AccessDenied"}
				}
				if test.say != nil {
					return test.say(kind)
				}
				return nil
			})
			f.mute, f.sealed, f.page = test.mute, test.sealed, test.page
			put := func() error { return s.Put(t.Context(), object, zeros{}, largeSize, bucket.PutOptions{}) }
			if err := put(); !errors.Is(err, bucket.ErrDenied) {
				t.Fatalf("put: %v, want ErrDenied", err)
			}
			broken = false
			before := f.count["part"]
			if err := put(); err != nil || len(f.object) != largeSize {
				t.Errorf("put again: %v", err)
			}
			if sent := f.count["part"] - before; sent != test.sent {
				t.Errorf("%d parts were sent again, want %d", sent, test.sent)
			}
		})
	}
}
