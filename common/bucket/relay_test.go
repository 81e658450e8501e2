package bucket_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strings"
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

// relay stands before a real server.
type relay struct {
	*s3test.Server
	*s3test.Relay
}

func newRelay(t *testing.T, s *s3test.Server) *relay {
	t.Helper()
	return &relay{s, s3test.NewRelay(t, s)}
}

// store is one that sends a part at a time through the relay, so that it is known what has arrived.
func (f *relay) store(t *testing.T) bucket.Store {
	t.Helper()
	cfg := f.StoreConfig("")
	cfg.Endpoint, cfg.Parallel, cfg.RetryFor = f.Relay.Endpoint, 1, -1
	return open(t, cfg)
}

// breakAt makes the upload of a part with that number fail.
func (f *relay) breakAt(number string) {
	f.Break(func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == number })
}

// client is another program that works with the same bucket.
func (f *relay) client(t *testing.T) minio.Core {
	t.Helper()
	core, err := minio.NewCore(strings.TrimPrefix(f.Server.Endpoint, "http://"), &minio.Options{
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
