package bucket_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"snapswarm/common/bucket"
	"snapswarm/common/bucket/s3test"
)

const (
	partLength = 16 << 20
	fiveParts  = 4*partLength + 4711
)

// relay stands before a real server, counts what is sent to it, and can break requests.
type relay struct {
	*s3test.Server
	endpoint string
	sent     atomic.Int64                             // bytes of objects
	parts    atomic.Int64                             // requests that carry one
	refuse   atomic.Pointer[func(*http.Request) bool] // breaks the connection when it says so
}

func newRelay(t *testing.T, s *s3test.Server) *relay {
	t.Helper()
	target, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	f := &relay{Server: s}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // which is signed
	}}
	server, _ := countingServer(t, func(w http.ResponseWriter, r *http.Request) {
		if refuse := f.refuse.Load(); refuse != nil && (*refuse)(r) {
			panic(http.ErrAbortHandler)
		}
		if r.Method == http.MethodPut {
			f.parts.Add(1)
			r.Body = &countedBody{r.Body, &f.sent}
		}
		proxy.ServeHTTP(w, r)
	})
	f.endpoint = server.URL
	return f
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// store is one that sends a part at a time through the relay, so that it is known what has arrived.
func (f *relay) store(t *testing.T) bucket.Store {
	t.Helper()
	cfg := f.StoreConfig("")
	cfg.Endpoint, cfg.Parallel, cfg.RetryFor = f.endpoint, 1, -1
	return open(t, cfg)
}

// reset makes the relay whole and its counters zero.
func (f *relay) reset() {
	f.refuse.Store(nil)
	f.sent.Store(0)
	f.parts.Store(0)
}

// breakAt makes the upload of a part with that number fail.
func (f *relay) breakAt(number string) {
	refuse := func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == number }
	f.refuse.Store(&refuse)
}

// client is another program that works with the same bucket.
func (f *relay) client(t *testing.T) minio.Core {
	t.Helper()
	core, err := minio.NewCore(strings.TrimPrefix(f.Endpoint, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(f.AccessKey, f.SecretKey, ""), Region: f.Region, BucketLookup: minio.BucketLookupPath,
	})
	if err != nil {
		t.Fatal(err)
	}
	return *core
}

// begin leaves an unfinished upload of key with the given parts, the first being number 1; nil ones are left out.
func (f *relay) begin(t *testing.T, key string, parts ...[]byte) (id string) {
	t.Helper()
	core := f.client(t)
	opts := minio.PutObjectOptions{UserMetadata: map[string]string{"X-Amz-Checksum-Algorithm": "SHA256"}}
	id, err := core.NewMultipartUpload(t.Context(), f.Bucket, key, opts)
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range parts {
		if part == nil {
			continue
		}
		sum := sha256.Sum256(part)
		_, err := core.PutObjectPart(t.Context(), f.Bucket, key, id, i+1, bytes.NewReader(part), int64(len(part)),
			minio.PutObjectPartOptions{
				Sha256Hex: hex.EncodeToString(sum[:]), DisableContentSha256: true,
				CustomHeader: http.Header{"X-Amz-Checksum-Sha256": {base64.StdEncoding.EncodeToString(sum[:])}},
			})
		if err != nil {
			t.Fatal(err)
		}
	}
	return id
}

// uploads lists the unfinished ones.
func (f *relay) uploads(t *testing.T) (ids []string) {
	t.Helper()
	page, err := f.client(t).ListMultipartUploads(t.Context(), f.Bucket, "", "", "", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range page.Uploads {
		ids = append(ids, u.UploadID)
	}
	return ids
}

// checkObject compares what is stored with want, and that no upload is left.
func (f *relay) checkObject(t *testing.T, want []byte) {
	t.Helper()
	got, err := f.store(t).Get(t.Context(), object, int64(len(want)))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the object: %d bytes, %v; want the %d that were put", len(got), err, len(want))
	}
	if left := f.uploads(t); len(left) != 0 {
		t.Errorf("unfinished uploads %v, want none", left)
	}
}

func random(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

// part is a section of an object of which the parts are cut.
func part(b []byte, number int) []byte {
	return b[(number-1)*partLength : min(len(b), number*partLength)]
}
