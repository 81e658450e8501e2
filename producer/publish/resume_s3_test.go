package publish_test

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/bucket/s3test"
)

// partLength is how much of an archive one request carries.
const partLength = 16 << 20

// onS3 lets the publisher of b work with a real S3 server, one part at a time, and has a source of more than two parts.
func (b *bench) onS3() (*s3test.Relay, bucket.Store) {
	b.t.Helper()
	server := s3test.New(b.t)
	relay := s3test.NewRelay(b.t, server)
	cfg := server.StoreConfig("")
	direct, err := bucket.Open(cfg)
	b.ok(err)
	cfg.Endpoint, cfg.Parallel, cfg.RetryFor = relay.Endpoint, 1, -1
	b.cfg.Store, err = bucket.Open(cfg)
	b.ok(err)
	client, err := bucket.NewHTTPClient(bucket.Policy{Origins: []string{server.PublicURL()}})
	b.ok(err)
	b.t.Cleanup(client.CloseIdleConnections)
	b.cfg.Public, err = bucket.NewReader(server.PublicURL(), client)
	b.ok(err)
	b.cfg.ProbeFor = 10 * time.Second
	body := make([]byte, 2*partLength+partLength/2)
	_, _ = rand.NewChaCha8([32]byte{3}).Read(body) // never fails
	b.write("data.ldb", body)
	return relay, direct
}

// breakPart makes the upload of a part fail.
func breakPart(relay *s3test.Relay, number string) {
	relay.Break(func(r *http.Request) bool { return r.URL.Query().Get("partNumber") == number })
}

// checkS3 makes sure that the bucket holds so many snapshots and nothing unfinished.
func (b *bench) checkS3(s bucket.Store, archives int) {
	b.t.Helper()
	n := 0
	for info, err := range s.List(b.t.Context(), salt+"/") {
		b.ok(err)
		if strings.HasSuffix(info.Key, ".zst") {
			n++
		}
	}
	if n != archives {
		b.t.Errorf("the bucket has %d archives, want %d", n, archives)
	}
	if left, err := s.Sweep(b.t.Context(), ""); err != nil || left != (bucket.Swept{}) {
		b.t.Errorf("unfinished uploads: %+v, %v; want none", left, err)
	}
}

func TestAnUploadThatWasInterruptedGoesOn(t *testing.T) {
	b := newBench(t)
	relay, s := b.onS3()
	breakPart(relay, "3")
	if _, err := b.publish(); !errors.Is(err, bucket.ErrUnreachable) {
		t.Fatalf("publish = %v, want %v", err, bucket.ErrUnreachable)
	}
	v := b.unfinished()
	relay.Mend()
	rep := b.mustPublish()
	if !rep.Resumed || rep.Version != v {
		t.Errorf("%s went on as %s", v, rep.Version)
	}
	// The third part, two torrents, the lease and the pointer.
	if sent, most := relay.Sent(), rep.Size-2*partLength+100_000; sent > most {
		t.Errorf("%d of %d bytes were sent again, want at most %d", sent, rep.Size, most)
	}
	b.checkS3(s, 1)
}

// TestAnUploadThatArrivedIsNotSentAgain: it ended between the archive and its torrent.
func TestAnUploadThatArrivedIsNotSentAgain(t *testing.T) {
	b := newBench(t)
	relay, s := b.onS3()
	relay.Break(func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/torrents/")
	})
	if _, err := b.publish(); !errors.Is(err, bucket.ErrUnreachable) {
		t.Fatalf("publish = %v, want %v", err, bucket.ErrUnreachable)
	}
	relay.Mend()
	if rep := b.mustPublish(); !rep.Resumed || relay.Sent() > 100_000 {
		t.Errorf("resumed %t, %d of %d bytes were sent again", rep.Resumed, relay.Sent(), rep.Size)
	}
	b.checkS3(s, 1)
}

// TestAnUploadThatIsGivenUpLeavesNoParts: the source has changed, or the journal was lost with all that it knew.
func TestAnUploadThatIsGivenUpLeavesNoParts(t *testing.T) {
	for name, change := range map[string]func(*bench){
		"the source has changed":  func(b *bench) { b.write("more", []byte("more")) },
		"the data folder is lost": func(b *bench) { b.cfg.DataDir = b.t.TempDir() },
		"the archive is lost":     func(b *bench) { b.ok(os.RemoveAll(b.packed(b.unfinished()))) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			relay, s := b.onS3()
			b.cfg.Lease = time.Second // of the process that is gone
			breakPart(relay, "2")
			if _, err := b.publish(); !errors.Is(err, bucket.ErrUnreachable) {
				t.Fatalf("publish = %v, want %v", err, bucket.ErrUnreachable)
			}
			relay.Mend()
			change(b)
			if rep := b.mustPublish(); rep.Resumed {
				t.Errorf("%s was continued", rep.Version)
			}
			b.checkS3(s, 1)
		})
	}
}

// TestAnArchiveThatRottedMeanwhileIsGivenUp: a byte of the second part, which the bucket has as it was, is another one by now,
// and neither size nor time of the file tell.
func TestAnArchiveThatRottedMeanwhileIsGivenUp(t *testing.T) {
	b := newBench(t)
	relay, s := b.onS3()
	breakPart(relay, "3")
	if _, err := b.publish(); !errors.Is(err, bucket.ErrUnreachable) {
		t.Fatalf("publish = %v, want %v", err, bucket.ErrUnreachable)
	}
	relay.Mend()
	v := b.unfinished()
	b.damage(v, mtime(t, b.packed(v))) // in the middle, which is the second part
	rep := b.mustPublish()
	if rep.Resumed || rep.Version == v {
		t.Errorf("%s was published although it is damaged", v)
	}
	b.checkS3(s, 1)
}

func mtime(t *testing.T, path string) time.Time {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.ModTime()
}
