//go:build e2e

package publish_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/bucket/s3test"
	"snapswarm/producer/publish"
)

// trouble is what happens to a request on its way to the S3 server and back.
type trouble string

const (
	slowDown  trouble = "503"               // it does not get there
	cutOff    trouble = "a reset"           // the same
	regret    trouble = "500 after the act" // it does, and the answer says that it did not
	unheard   trouble = "no answer"         // it does, and the answer gets lost
	shortened trouble = "half an answer"    // it does, and the answer breaks off
)

// troubled is a way to an S3 server on which one request has trouble.
type troubled struct {
	server http.Handler

	mu       sync.Mutex
	at       int             // which request; guarded by mu, as is what follows
	what     trouble         //
	requests []*http.Request // since begin
}

func newTroubled(t *testing.T, endpoint string) (way *troubled, address string) {
	t.Helper()
	to, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	way = &troubled{server: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.Out.Host = r.In.Host // which is signed
	}}}
	front := httptest.NewServer(way)
	t.Cleanup(front.Close)
	return way, front.URL
}

func (w *troubled) begin(at int, what trouble) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at, w.what, w.requests = at, what, nil
}

// seen are the requests since begin.
func (w *troubled) seen() []*http.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.requests
}

func (w *troubled) next(r *http.Request) trouble {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = append(w.requests, r)
	if len(w.requests) == w.at {
		return w.what
	}
	return ""
}

// ServeHTTP implements http.Handler.
func (w *troubled) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	what := w.next(r)
	switch what {
	case "":
		w.server.ServeHTTP(out, r)
		return
	case slowDown:
		http.Error(out, "<Error><Code>SlowDown</Code><Message>try again</Message></Error>", http.StatusServiceUnavailable)
		return
	case cutOff:
		panic(http.ErrAbortHandler)
	}
	answer := httptest.NewRecorder()
	w.server.ServeHTTP(answer, r)
	switch what {
	case regret:
		http.Error(out, "<Error><Code>InternalError</Code><Message>try again</Message></Error>", http.StatusInternalServerError)
		return
	case shortened:
		for name, values := range answer.Header() {
			out.Header()[name] = values
		}
		out.WriteHeader(answer.Code)
		_, _ = out.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
	}
	panic(http.ErrAbortHandler)
}

// s3Bench is a bench whose bucket is on an S3 server behind a way with trouble.
type s3Bench struct {
	*bench
	server *s3test.Server
	retry  time.Duration // for how long requests are repeated
	way    *troubled
	front  string
	trials int
}

func newS3Bench(t *testing.T, size int, retry time.Duration) *s3Bench {
	t.Helper()
	s := &s3Bench{bench: newBench(t), retry: retry}
	var err error
	if s.server, err = s3test.Start(t.Context(), s3test.Config{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.server.Close() })
	s.way, s.front = newTroubled(t, s.server.Endpoint)
	s.write("data.ldb", sample(1, size))
	s.cfg.Keep = 2
	return s
}

// begin makes a new place with one snapshot, which is published through the way with no trouble.
func (s *s3Bench) begin(t *testing.T) publish.Report {
	t.Helper()
	s.t = t
	s.trials++
	prefix := fmt.Sprintf("trial%d", s.trials)
	s.cfg.DataDir, s.net = t.TempDir(), &network{}
	s.cfg.Network = s.net
	cfg := s.server.StoreConfig(prefix)
	var err error
	if s.store, err = bucket.Open(cfg); err != nil {
		t.Fatal(err)
	}
	s.read, s.list = s.readStore, s.listStore
	cfg.Endpoint, cfg.RetryFor = s.front, s.retry
	if s.cfg.Store, err = bucket.Open(cfg); err != nil {
		t.Fatal(err)
	}
	if s.public, err = bucket.NewReader(s.server.PublicURL()+"/"+prefix, http.DefaultClient); err != nil {
		t.Fatal(err)
	}
	s.cfg.Public = s.public
	s.way.begin(0, "")
	return s.mustPublish()
}

// readStore goes around the trouble.
func (s *s3Bench) readStore(key string) ([]byte, error) {
	b, err := s.store.Get(s.t.Context(), key, 1<<30)
	if errors.Is(err, bucket.ErrNotFound) {
		err = errors.Join(err, fs.ErrNotExist)
	}
	return b, err
}

func (s *s3Bench) listStore() (keys []string) {
	for info, err := range s.store.List(s.t.Context(), "") {
		if err != nil {
			s.t.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// try publishes once more.
func (s *s3Bench) try() (rep publish.Report, err error) {
	defer s.clock.add(10 * time.Second)
	src, err := publish.OpenSource(s.t.Context(), s.source)
	if err != nil {
		return rep, err
	}
	p, err := publish.New(s.cfg)
	if err != nil {
		return rep, err
	}
	rep, err = p.Publish(s.t.Context(), publish.Request{Source: src})
	return rep, errors.Join(err, p.Close())
}

// TestTroubleWithAnyRequestToS3 lets every request of a publication to S3 have trouble once, in several ways: first with a store that
// does not repeat requests, so that every failure shows, then with one that does, so that none but that of the check shows.
func TestTroubleWithAnyRequestToS3(t *testing.T) {
	for _, row := range []struct {
		name  string
		size  int
		only  string // part of the query of requests that have trouble
		retry time.Duration
	}{
		{"one part", 300_000, "", -1}, {"two parts", 34 << 20, "upload", -1}, {"repeated", 300_000, "", time.Minute},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newS3Bench(t, row.size, row.retry)
			s.begin(t)
			s.way.begin(0, "")
			if _, err := s.try(); err != nil {
				t.Fatal(err)
			}
			requests := s.way.seen()
			t.Logf("a publication has %d requests", len(requests))
			for i, what := range []trouble{slowDown, cutOff, regret, unheard, shortened} {
				for n, r := range requests {
					if (i+n)%every(5) != 0 || !strings.Contains(r.URL.RawQuery, row.only) {
						continue
					}
					t.Run(fmt.Sprintf("%s at %d, %s %s", what, n+1, r.Method, r.URL.Path), func(t *testing.T) { s.troubleAt(t, n+1, what) })
				}
			}
		})
	}
}

func (s *s3Bench) troubleAt(t *testing.T, n int, what trouble) {
	before := s.begin(t)
	s.way.begin(n, what)
	rep, err := s.try()
	if err != nil && s.retry > 0 && !strings.Contains(s.way.seen()[n-1].URL.Path, "write-check") {
		t.Errorf("a request that can be repeated: %v", err)
	}
	s.way.begin(0, "")
	now := s.check()
	if err == nil && (now.InfoHash != rep.InfoHash || now.InfoHash == before.InfoHash) {
		t.Errorf("Publish says that it published %s, but the pointer names %s", rep.InfoHash, now.InfoHash)
	}
	rec, _, _ := s.pointer()
	last, err := s.try()
	if err != nil {
		t.Fatalf("the next publication: %v", err)
	}
	if tor := s.check(); tor.InfoHash != last.InfoHash || last.Seq <= rec.Seq {
		t.Errorf("the next publication: the pointer names %s, seq %d after %d, want %s", tor.InfoHash, last.Seq, rec.Seq, last.InfoHash)
	}
	s.checkTidy(2)
	if left, err := s.store.Sweep(t.Context(), ""); err != nil || left.Uploads != 0 {
		t.Errorf("left of uploads: %+v, %v", left, err)
	}
}
