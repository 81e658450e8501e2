package bucket_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"snapswarm/common/bucket"
)

func TestSweepFreesWhatNobodyContinues(t *testing.T) {
	eachServer(t, func(t *testing.T, f *relay) {
		b := random(1, 3*partLength)
		kept := f.begin(t, "demo/20261120T060000Z/kept", b[:partLength])
		f.begin(t, "demo/20261120T060000Z/one", b[:partLength], b[partLength:])
		f.begin(t, "demo/20261120T060000Z/two", b[:1000])
		f.begin(t, "demo/20261120T060000Z/two")
		f.begin(t, "write-check")
		theirs := f.begin(t, "demo-two/20261120T060000Z/one", b[:1000])
		s := f.store(t)
		if err := putSmall(t, s); err != nil {
			t.Fatal(err)
		}
		got, err := s.Sweep(t.Context(), "demo/", "demo/20261120T060000Z/kept")
		if want := (bucket.Swept{Uploads: 4, Bytes: 3*partLength + 1000}); err != nil || got != want {
			t.Errorf("Sweep = %+v, %v; want %+v", got, err, want)
		}
		left := f.uploads(t)
		if len(left) != 2 || !slices.Contains(left, kept) || !slices.Contains(left, theirs) {
			t.Errorf("unfinished uploads %v, want %s and %s", left, kept, theirs)
		}
		if got, err := s.Get(t.Context(), object, 100); err != nil || len(got) != 10 {
			t.Errorf("a finished object after it: %d bytes, %v", len(got), err)
		}
	})
}

// pagedUploads is a server that lists two unfinished uploads at a time, three of each key, sorted by key and id.
type pagedUploads struct {
	strict bool // refuses the marker of an upload, as versitygw does
	left   []string
}

func (p *pagedUploads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	id := q.Get("key-marker") + "#" + q.Get("upload-id-marker")
	switch {
	case r.Method == http.MethodDelete:
		name := strings.TrimPrefix(r.URL.Path, "/chain/") + "#" + q.Get("uploadId")
		p.left = slices.DeleteFunc(p.left, func(s string) bool { return s == name })
		w.WriteHeader(http.StatusNoContent)
	case q.Has("uploadId"):
		fmt.Fprint(w, "<ListPartsResult><Part><PartNumber>1</PartNumber><Size>10</Size></Part></ListPartsResult>")
	case p.strict && q.Has("upload-id-marker"):
		(&answer{status: http.StatusBadRequest, code: "InvalidArgument"}).say(w)
	default:
		if !q.Has("upload-id-marker") && q.Has("key-marker") {
			id = q.Get("key-marker") + "$" // after all of this key
		}
		p.list(w, id, q.Get("prefix"))
	}
}

func (p *pagedUploads) list(w http.ResponseWriter, after, prefix string) {
	rest := slices.DeleteFunc(slices.Clone(p.left), func(s string) bool { return s <= after || !strings.HasPrefix(s, prefix) })
	page := rest[:min(2, len(rest))]
	fmt.Fprintf(w, "<ListMultipartUploadsResult><IsTruncated>%t</IsTruncated>", len(rest) > len(page))
	for i, name := range page {
		key, id, _ := strings.Cut(name, "#")
		fmt.Fprintf(w, "<Upload><Key>%s</Key><UploadId>%s</UploadId></Upload>", key, id)
		if i == len(page)-1 {
			fmt.Fprintf(w, "<NextKeyMarker>%s</NextKeyMarker><NextUploadIdMarker>%s</NextUploadIdMarker>", key, id)
		}
	}
	fmt.Fprint(w, "</ListMultipartUploadsResult>")
}

func TestSweepReadsAllPages(t *testing.T) {
	for _, strict := range []bool{false, true} {
		p := &pagedUploads{strict: strict}
		for i := range 9 {
			p.left = append(p.left, fmt.Sprintf("demo/%d/file#%d", i/3, i))
		}
		server, _ := countingServer(t, p.ServeHTTP)
		s := open(t, bucket.Config{URL: "s3://chain", Endpoint: server.URL, AccessKeyID: "key", SecretAccessKey: "hunter2"})
		got, err := s.Sweep(t.Context(), "demo/")
		if want := (bucket.Swept{Uploads: 9, Bytes: 90}); err != nil || got != want || len(p.left) != 0 {
			t.Errorf("strict %t: Sweep = %+v, %v, left are %v; want %+v and nothing", strict, got, err, p.left, want)
		}
	}
}
