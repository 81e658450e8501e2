package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/bucket/s3test"
)

const object = "demo/20261120T060000Z/data.zst"

// zeros is a source of any size that needs no memory.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

func putSmall(t *testing.T, s bucket.Store) error {
	t.Helper()
	return s.Put(t.Context(), object, strings.NewReader("0123456789"), 10, bucket.PutOptions{})
}

func putLarge(t *testing.T, s bucket.Store) error {
	t.Helper()
	return s.Put(t.Context(), object, zeros{}, largeSize, bucket.PutOptions{})
}

func TestRefusalsSayWhatToDo(t *testing.T) {
	for _, test := range []struct {
		status int
		code   string
		kind   error
		hint   string
	}{
		{403, "InvalidAccessKeyId", bucket.ErrDenied, "S3_ACCESS_KEY_ID"},
		{403, "SignatureDoesNotMatch", bucket.ErrDenied, "S3_SECRET_ACCESS_KEY"},
		{400, "ExpiredToken", bucket.ErrDenied, "S3_ACCESS_KEY_ID"},
		{403, "AccessDenied", bucket.ErrDenied, "s3:PutObject"},
		{403, "RequestTimeTooSkewed", bucket.ErrDenied, "clock"},
		{404, "NoSuchBucket", bucket.ErrDenied, "BUCKET"},
		{400, "AuthorizationHeaderMalformed", bucket.ErrDenied, "S3_REGION"},
		{301, "PermanentRedirect", bucket.ErrDenied, "S3_REGION"},
		{501, "NotImplemented", nil, "NotImplemented"},
		{409, "InvalidBucketState", nil, "InvalidBucketState"},
	} {
		f, s := fake(t, func(string, int) *answer { return &answer{status: test.status, code: test.code} })
		err := putSmall(t, s)
		var e *bucket.Error
		if !errors.As(err, &e) || !errors.Is(e.Kind, test.kind) {
			t.Errorf("%s: %v, want a bucket.Error of kind %v", test.code, err, test.kind)
			continue
		}
		line := err.Error()
		for _, part := range []string{"put " + object, "s3://chain/", test.code, test.hint} {
			if !strings.Contains(line, part) {
				t.Errorf("%s: %q does not name %q", test.code, line, part)
			}
		}
		if strings.ContainsAny(line, "\n\r") || strings.Contains(line, "hunter2") {
			t.Errorf("%s: %q, want one line without the secret", test.code, line)
		}
		if n := f.count["put"]; n != 1 {
			t.Errorf("%s: asked %d times, want once", test.code, n)
		}
	}
}

func TestRealRefusals(t *testing.T) {
	server := s3test.New(t)
	wrongKey, wrongSecret, wrongBucket := server.StoreConfig(""), server.StoreConfig(""), server.StoreConfig("")
	wrongKey.AccessKeyID = "nobody"
	wrongSecret.SecretAccessKey = "hunter2"
	wrongBucket.URL = "s3://elsewhere"
	for _, test := range []struct {
		name string
		cfg  bucket.Config
		hint string
	}{
		{"unknown key", wrongKey, "S3_ACCESS_KEY_ID"},
		{"wrong secret", wrongSecret, "S3_SECRET_ACCESS_KEY"},
		{"wrong bucket", wrongBucket, "BUCKET"},
	} {
		s := open(t, test.cfg)
		large := s.Put(t.Context(), object, zeros{}, largeSize, bucket.PutOptions{})
		for op, err := range map[string]error{"check": s.Check(t.Context()), "put": putSmall(t, s), "put large": large} {
			if !errors.Is(err, bucket.ErrDenied) || !strings.Contains(err.Error(), test.hint) {
				t.Errorf("%s: %s: %v, want ErrDenied and a hint at %s", test.name, op, err, test.hint)
			}
		}
	}
}

func TestUnreachableEndpointsSayWhatToDo(t *testing.T) {
	closed, _ := countingServer(t, func(http.ResponseWriter, *http.Request) {})
	closed.Close()
	plain, _ := countingServer(t, func(http.ResponseWriter, *http.Request) {})
	for _, test := range []struct{ name, endpoint, hint string }{
		{"closed port", closed.URL, "is the server running"},
		{"TLS to a plain server", strings.Replace(plain.URL, "http://", "https://", 1), "http:// in S3_ENDPOINT"},
	} {
		s := open(t, bucket.Config{URL: "s3://chain", Endpoint: test.endpoint, AccessKeyID: "a", SecretAccessKey: "b"})
		begin := time.Now()
		err := s.Check(t.Context())
		if !errors.Is(err, bucket.ErrUnreachable) || !strings.Contains(err.Error(), test.hint) {
			t.Errorf("%s: %v, want ErrUnreachable and %q", test.name, err, test.hint)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%s: Check took %v, want a quick answer", test.name, took)
		}
	}
}

func TestPassingFailuresAreOutlasted(t *testing.T) {
	for name, a := range map[string]answer{
		"busy":                    {status: 503, code: "SlowDown"},
		"internal error":          {status: 500, code: "InternalError"},
		"bad gateway, no XML":     {status: 502},
		"too many requests":       {status: 429},
		"damaged on the way":      {status: 400, code: "BadDigest"},
		"request timeout":         {status: 400, code: "RequestTimeout"},
		"connection cut":          {cut: true},
		"done, answer never came": {cut: true, after: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			twice := func(_ string, nth int) *answer {
				if nth <= 2 {
					return &a
				}
				return nil
			}
			f, s := fake(t, twice)
			if err := putSmall(t, s); err != nil || string(f.object) != "0123456789" {
				t.Errorf("put: %v, stored %q", err, f.object)
			}
			f, s = fake(t, twice)
			if err := putLarge(t, s); err != nil || len(f.object) != largeSize || f.aborted {
				t.Errorf("put in parts: %v, %d bytes stored, aborted %t", err, len(f.object), f.aborted)
			}
		})
	}
}

func TestLastingFailureIsUnreachable(t *testing.T) {
	f, s := fake(t, func(kind string, _ int) *answer {
		if kind == "part" {
			return &answer{status: 503, code: "SlowDown"}
		}
		return nil
	})
	err := putLarge(t, s)
	if !errors.Is(err, bucket.ErrUnreachable) {
		t.Errorf("put: %v, want ErrUnreachable", err)
	}
	if f.count["part"] < 4 || f.aborted || f.count["complete"] != 0 {
		t.Errorf("parts asked %d times, aborted %t, completed %d times; want several, false so that it can be continued, 0",
			f.count["part"], f.aborted, f.count["complete"])
	}
}

func TestRefusedPartAbortsTheUpload(t *testing.T) {
	f, s := fake(t, func(kind string, nth int) *answer {
		if kind == "part" && nth == 2 {
			return &answer{status: 400, code: "EntityTooLarge"}
		}
		return nil
	})
	if err := putLarge(t, s); err == nil || !f.aborted || f.object != nil {
		t.Errorf("put: %v, aborted %t; want an error and true: it would be refused again", err, f.aborted)
	}
}

func TestExpiredCredentialsKeepTheParts(t *testing.T) {
	expired := true
	f, s := fakeParallel(t, 1, func(kind string, nth int) *answer {
		if kind == "part" && nth == 2 && expired {
			return &answer{status: 400, code: "ExpiredToken"}
		}
		return nil
	})
	if err := putLarge(t, s); !errors.Is(err, bucket.ErrDenied) || f.aborted {
		t.Errorf("put: %v, aborted %t; want ErrDenied and parts that stay", err, f.aborted)
	}
	expired = false
	if err := putLarge(t, s); err != nil || f.count["part"] != 3 || f.count["begin"] != 1 {
		t.Errorf("put again: %v after %d parts in %d uploads, want one part sent once more", err, f.count["part"], f.count["begin"])
	}
}

func TestCanceledUploadKeepsItsParts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f, s := fake(t, func(kind string, nth int) *answer {
		if kind == "part" && nth == 2 {
			cancel()
		}
		return nil
	})
	err := s.Put(ctx, object, zeros{}, largeSize, bucket.PutOptions{})
	if !errors.Is(err, context.Canceled) || f.aborted || f.object != nil {
		t.Errorf("put: %v, aborted %t; want a cancelled one whose parts stay", err, f.aborted)
	}
}

func TestUploadIsBoundedAndPlain(t *testing.T) {
	f, s := fake(t, nil)
	if err := s.Put(t.Context(), object, zeros{}, 5*largeSize, bucket.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	if f.maxPart > 4 {
		t.Errorf("%d parts at once, want at most 4", f.maxPart)
	}
	if f.chunked {
		t.Error("bodies are aws-chunked, want them plain")
	}
}

func TestStalledPartIsCutOffAndSentAgain(t *testing.T) {
	f := &fakeS3{count: map[string]int{}}
	var slow atomic.Int64
	server, _ := countingServer(t, func(w http.ResponseWriter, r *http.Request) {
		if kindOf(r) == "put" && slow.Add(1) == 1 {
			hang(w, r)
			return
		}
		f.ServeHTTP(w, r)
	})
	s := open(t, bucket.Config{
		URL: "s3://chain", Endpoint: server.URL, AccessKeyID: "a", SecretAccessKey: "b",
		RetryFor: 5 * time.Second, StallAfter: 100 * time.Millisecond,
	})
	if err := putSmall(t, s); err != nil || string(f.object) != "0123456789" {
		t.Errorf("put: %v, stored %q", err, f.object)
	}
}

func TestSilentServerIsUnreachable(t *testing.T) {
	server, _ := countingServer(t, hang)
	s := open(t, bucket.Config{
		URL: "s3://chain", Endpoint: server.URL, AccessKeyID: "a", SecretAccessKey: "b",
		RetryFor: -1, StallAfter: 50 * time.Millisecond,
	})
	if err := putSmall(t, s); !errors.Is(err, bucket.ErrUnreachable) || !strings.Contains(err.Error(), "no progress") {
		t.Errorf("put: %v, want ErrUnreachable for want of progress", err)
	}
}

func TestChangedSourceIsRefusedByTheChecksum(t *testing.T) {
	var reads atomic.Int64
	src := readerAtFunc(func(p []byte, _ int64) (int, error) {
		copy(p, bytes.Repeat([]byte{byte(reads.Add(1))}, len(p))) // another content at each reading
		return len(p), nil
	})
	f, s := fake(t, nil)
	err := s.Put(t.Context(), object, src, 10, bucket.PutOptions{})
	if err == nil || !strings.Contains(err.Error(), "changes while") || f.object != nil || f.count["put"] != 1 {
		t.Errorf("put of a source that changes: %v after %d attempts, stored %q; want one that says so", err, f.count["put"], f.object)
	}
}

type readerAtFunc func(p []byte, off int64) (int, error)

func (f readerAtFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

func TestObjectsCarryTheirMetadata(t *testing.T) {
	server := s3test.New(t)
	s := open(t, server.StoreConfig(""))
	for _, size := range []int64{10, largeSize} {
		if err := s.Put(t.Context(), object, zeros{}, size, bucket.Defaults(object)); err != nil {
			t.Fatal(err)
		}
		resp, err := newClient(t, bucket.Policy{AllowPrivate: true}).Head(server.PublicURL() + "/" + object) //nolint:noctx // a test
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		h := resp.Header
		if h.Get("Content-Type") != "application/zstd" || h.Get("Cache-Control") != bucket.CacheImmutable ||
			h.Get("Content-Disposition") != "attachment; filename=data.zst" || h.Get("Content-Encoding") != "" || resp.ContentLength != size {
			t.Errorf("%d bytes: header %v, want type, cache, name and size, and no encoding", size, h)
		}
	}
}

func TestPrefixesAreApart(t *testing.T) {
	server := s3test.New(t)
	one, two := open(t, server.StoreConfig("one")), open(t, server.StoreConfig("one-two"))
	if err := putSmall(t, two); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Stat(t.Context(), object); !errors.Is(err, bucket.ErrNotFound) {
		t.Errorf("Stat through another prefix: %v, want ErrNotFound", err)
	}
	for info, err := range one.List(t.Context(), "") {
		t.Errorf("List through another prefix has %q, %v", info.Key, err)
	}
}
