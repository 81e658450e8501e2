package bucket_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"snapswarm/common/bucket"
)

// answer is what a scripted server says instead of the right thing.
type answer struct {
	status int
	code   string // of the XML error; none if empty
	cut    bool   // drop the connection instead
	after  bool   // do the right thing first
}

// fakeS3 is the part of S3 that uploads need, with faults on order. It is for answers that the real server cannot be
// made to give; everything else is tested against that.
type fakeS3 struct {
	// fault, if not nil, decides about a request before it is served: kind is put, part, begin, complete, abort, head, get,
	// uploads, parts.
	fault func(kind string, nth int) *answer
	// conditions makes it heed If-Match and If-None-Match.
	conditions bool
	// mute leaves the SHA-256 out of what is said of parts and objects; sealed makes ETags that are no MD5, as encryption
	// does. With page, one part is listed at a time.
	mute, sealed, page bool

	mu      sync.Mutex // guards the rest
	count   map[string]int
	parts   map[string]fakePart // by number
	object  []byte
	etag    string
	aborted bool
	inPart  int // at once
	maxPart int
	chunked bool // an aws-chunked body arrived
}

// fakePart is a part that has arrived.
type fakePart struct {
	size      int
	etag, sum string
}

func kindOf(r *http.Request) string {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodHead:
		return "head"
	case r.Method == http.MethodGet && q.Has("uploads"):
		return "uploads"
	case r.Method == http.MethodGet && q.Has("uploadId"):
		return "parts"
	case r.Method == http.MethodGet:
		return "get"
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		return "abort"
	case r.Method == http.MethodPost && q.Has("uploads"):
		return "begin"
	case r.Method == http.MethodPost:
		return "complete"
	case q.Has("partNumber"):
		return "part"
	}
	return "put"
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind := kindOf(r)
	f.mu.Lock()
	f.count[kind]++
	nth := f.count[kind]
	f.mu.Unlock()
	var a *answer
	if f.fault != nil {
		a = f.fault(kind, nth)
	}
	switch {
	case a == nil:
		f.serve(w, r, kind)
	case a.after:
		f.serve(discard{http.Header{}}, r, kind)
		a.say(w)
	default:
		a.say(w)
	}
}

// discard loses an answer.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

func (a *answer) say(w http.ResponseWriter) {
	if a.cut {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(a.status)
	if a.code != "" {
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>the server\nsays %s</Message></Error>", a.code, a.code)
	}
}

func (f *fakeS3) serve(w http.ResponseWriter, r *http.Request, kind string) {
	switch kind {
	case "begin":
		f.mu.Lock()
		f.parts = map[string]fakePart{}
		f.mu.Unlock()
		fmt.Fprint(w, "<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>")
	case "part", "put":
		f.receive(w, r, kind)
	case "complete":
		f.join(w, r)
	case "abort":
		f.mu.Lock()
		f.aborted, f.parts = true, nil
		f.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	case "head", "get":
		f.head(w, kind)
	case "uploads":
		f.listUploads(w)
	case "parts":
		f.listParts(w, r)
	}
}

func (f *fakeS3) receive(w http.ResponseWriter, r *http.Request, kind string) {
	f.mu.Lock()
	f.inPart++
	f.maxPart = max(f.maxPart, f.inPart)
	f.chunked = f.chunked || r.Header.Get("Content-Encoding") != ""
	f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	sum := sha256.Sum256(body)
	tag := md5.Sum(body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inPart--
	if err != nil {
		return
	}
	if r.Header.Get("X-Amz-Checksum-Sha256") != base64.StdEncoding.EncodeToString(sum[:]) ||
		r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]) {
		(&answer{status: http.StatusBadRequest, code: "BadDigest"}).say(w)
		return
	}
	if kind == "put" && f.conditions && !f.met(r.Header) {
		(&answer{status: http.StatusPreconditionFailed, code: "PreconditionFailed"}).say(w)
		return
	}
	if f.sealed {
		tag[0]++
	}
	w.Header().Set("ETag", fmt.Sprintf(`"%x"`, tag))
	if kind == "put" {
		f.object, f.etag = body, fmt.Sprintf("%x", tag)
		return
	}
	if f.parts == nil { // aborted meanwhile
		(&answer{status: http.StatusNotFound, code: "NoSuchUpload"}).say(w)
		return
	}
	f.parts[r.URL.Query().Get("partNumber")] = fakePart{
		size: len(body), etag: fmt.Sprintf("%x", tag), sum: base64.StdEncoding.EncodeToString(sum[:]),
	}
}

func (f *fakeS3) listUploads(w http.ResponseWriter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fmt.Fprint(w, "<ListMultipartUploadsResult>")
	if f.parts != nil {
		fmt.Fprintf(w, "<Upload><Key>%s</Key><UploadId>one</UploadId></Upload>", object)
	}
	fmt.Fprint(w, "</ListMultipartUploadsResult>")
}

func (f *fakeS3) listParts(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from, _ := strconv.Atoi(r.URL.Query().Get("part-number-marker"))
	fmt.Fprint(w, "<ListPartsResult>")
	last, more := from, false
	for n := from + 1; n <= 100 && !more; n++ {
		part, ok := f.parts[fmt.Sprint(n)]
		if !ok {
			continue
		}
		if f.page && last > from {
			more = true
			break
		}
		last = n
		fmt.Fprintf(w, "<Part><PartNumber>%d</PartNumber><Size>%d</Size><ETag>&quot;%s&quot;</ETag>", n, part.size, part.etag)
		if !f.mute {
			fmt.Fprintf(w, "<ChecksumSHA256>%s</ChecksumSHA256>", part.sum)
		}
		fmt.Fprint(w, "</Part>")
	}
	fmt.Fprintf(w, "<IsTruncated>%t</IsTruncated><NextPartNumberMarker>%d</NextPartNumberMarker></ListPartsResult>", more, last)
}

// met evaluates the conditions of a put. It needs f.mu.
func (f *fakeS3) met(h http.Header) bool {
	switch {
	case h.Get("If-None-Match") == "*":
		return f.object == nil
	case h.Get("If-Match") != "":
		return f.object != nil && h.Get("If-Match") == `"`+f.etag+`"`
	}
	return true
}

// join makes the upload an object of the right size and ETag; the suite against the real server looks at the bytes.
func (f *fakeS3) join(w http.ResponseWriter, _ *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.parts == nil {
		(&answer{status: http.StatusNotFound, code: "NoSuchUpload"}).say(w)
		return
	}
	h := md5.New()
	for i := range len(f.parts) {
		sum, _ := hex.DecodeString(f.parts[fmt.Sprint(i+1)].etag)
		h.Write(sum)
	}
	f.etag = fmt.Sprintf("%x-%d", h.Sum(nil), len(f.parts))
	f.object, f.parts = make([]byte, largeSize), nil
	fmt.Fprintf(w, "<CompleteMultipartUploadResult><Bucket>chain</Bucket><ETag>%s</ETag></CompleteMultipartUploadResult>", f.etag)
}

func (f *fakeS3) head(w http.ResponseWriter, kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.object == nil {
		(&answer{status: http.StatusNotFound, code: map[string]string{"get": "NoSuchKey"}[kind]}).say(w)
		return
	}
	if kind == "get" {
		defer func() { _, _ = w.Write(f.object) }()
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(f.object)))
	w.Header().Set("ETag", `"`+f.etag+`"`)
	w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
}

// largeSize makes two parts.
const largeSize = 17 << 20

// fake starts the server and opens a store on it that loses patience soon.
func fake(t *testing.T, fault func(kind string, nth int) *answer) (*fakeS3, bucket.Store) {
	t.Helper()
	return fakeParallel(t, 0, fault)
}

// fakeParallel is fake with a number of parts at once, 0 for the usual one.
func fakeParallel(t *testing.T, parallel int, fault func(kind string, nth int) *answer) (*fakeS3, bucket.Store) {
	t.Helper()
	f := &fakeS3{fault: fault, count: map[string]int{}}
	s, _ := countingServer(t, f.ServeHTTP)
	return f, open(t, bucket.Config{
		URL: "s3://chain", Endpoint: s.URL, AccessKeyID: "key", SecretAccessKey: "hunter2",
		RetryFor: time.Second, StallAfter: 10 * time.Second, Parallel: parallel,
	})
}
