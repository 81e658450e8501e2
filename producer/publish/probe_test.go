package publish_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/producer/publish"
)

// TestThePointerWaitsForThePublicAddress has a row for each way in which a public address can be wrong.
func TestThePointerWaitsForThePublicAddress(t *testing.T) {
	for _, row := range []struct {
		name  string
		serve func(files http.Handler, dir string) http.HandlerFunc
		want  error
		hint  string
	}{
		{"nobody may read", func(http.Handler, string) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "AccessDenied", http.StatusForbidden) }
		}, publish.ErrNotPublic, "s3:GetObject"},
		{"another folder", func(http.Handler, string) http.HandlerFunc { return http.NotFound }, publish.ErrNotPublic, "PUBLIC_URL must be"},
		{"no ranges", func(_ http.Handler, dir string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				b, _ := os.ReadFile(filepath.Join(dir, filepath.Clean(r.URL.Path)))
				_, _ = w.Write(b)
			}
		}, publish.ErrNotPublic, "range requests"},
		{"other bytes in the archive", func(_ http.Handler, dir string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				b, _ := os.ReadFile(filepath.Join(dir, filepath.Clean(r.URL.Path)))
				if strings.HasSuffix(r.URL.Path, ".zst") {
					b[len(b)-1] ^= 1
				}
				http.ServeContent(w, r, "x", time.Time{}, bytes.NewReader(b))
			}
		}, publish.ErrWrongBytes, "bytes "},
		{"a longer archive", func(_ http.Handler, dir string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				b, _ := os.ReadFile(filepath.Join(dir, filepath.Clean(r.URL.Path)))
				if strings.HasSuffix(r.URL.Path, ".zst") {
					b = append(b, 0)
				}
				http.ServeContent(w, r, "x", time.Time{}, bytes.NewReader(b))
			}
		}, publish.ErrWrongBytes, "instead of"},
		{"another torrent", func(files http.Handler, _ string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, ".torrent") {
					_, _ = w.Write([]byte("d4:infode"))
					return
				}
				files.ServeHTTP(w, r)
			}
		}, publish.ErrWrongBytes, "torrent"},
		{"an error page", func(http.Handler, string) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "oops", http.StatusInternalServerError) }
		}, publish.ErrNotPublic, "check PUBLIC_URL"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			before := b.mustPublish()
			good := b.cfg.Public
			b.cfg.Public = b.serve(row.serve(http.FileServer(http.Dir(b.bucket)), b.bucket))
			_, err := b.publish()
			if !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.hint) {
				t.Errorf("publish = %v, want %v with %q", err, row.want, row.hint)
			}
			if tor := b.check(); tor.InfoHash != before.InfoHash {
				t.Errorf("the pointer moved")
			}
			b.cfg.Public, b.cfg.Keep = good, 2
			b.mustPublish()
			b.checkTidy(2)
		})
	}
}

func TestAServerThatIsNotThere(t *testing.T) {
	b := newBench(t)
	client, err := bucket.NewHTTPClient(bucket.Policy{AllowPrivate: true})
	if err != nil {
		t.Fatal(err)
	}
	if b.cfg.Public, err = bucket.NewReader("http://127.0.0.1:1", client); err != nil {
		t.Fatal(err)
	}
	if _, err := b.publish(); !errors.Is(err, publish.ErrNotPublic) || !errors.Is(err, bucket.ErrUnreachable) {
		t.Errorf("publish = %v", err)
	}
}

func TestAStoreMayBeSlowToShowWhatItHas(t *testing.T) {
	b := newBench(t)
	var asked atomic.Int64
	files := http.FileServer(http.Dir(b.bucket))
	b.cfg.ProbeFor = 20 * time.Second
	b.cfg.Public = b.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch asked.Add(1) {
		case 1, 2:
			http.NotFound(w, r)
		case 4:
			http.Error(w, "busy", http.StatusServiceUnavailable)
		default:
			files.ServeHTTP(w, r)
		}
	}))
	b.mustPublish()
	b.check()
}

func TestTheProbeReadsFirstLastAndSomeMore(t *testing.T) {
	b := newBench(t)
	b.cfg.PieceLength = 256 << 10
	b.write("data.ldb", sample(1, 8<<20))
	var asked []string
	files := http.FileServer(http.Dir(b.bucket))
	b.cfg.Public = b.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if field := r.Header.Get("Range"); field != "" {
			asked = append(asked, field)
		}
		files.ServeHTTP(w, r)
	}))
	rep := b.mustPublish()
	last := fmt.Sprintf("bytes=%d-%d", int64(rep.Pieces-1)*rep.PieceLength, rep.Size-1)
	if n := len(asked); n < 3 || n > 5 || asked[0] != "bytes=0-262143" || asked[n-1] != last {
		t.Errorf("asked for %q of %d pieces, want the first, the last (%s) and some between", asked, rep.Pieces, last)
	}
}
