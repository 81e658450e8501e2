package swarm_test

import (
	"bytes"
	"crypto/sha1"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

const (
	deepPiece  = 16 << 20
	deepLength = 6 << 30
)

// deepTorrent is a large file of zeros.
func deepTorrent(t *testing.T) *snapshot.Torrent {
	t.Helper()
	hash := sha1.Sum(make([]byte, deepPiece))
	tor, err := snapshot.NewTorrent(snapshot.Content{
		Name: "deep.zst", Length: deepLength, PieceLength: deepPiece, Pieces: bytes.Repeat(hash[:], deepLength/deepPiece),
	})
	if err != nil {
		t.Fatal(err)
	}
	return tor
}

type zeros struct{}

func (zeros) ReadAt(b []byte, _ int64) (int, error) {
	clear(b)
	return len(b), nil
}

// deepOrigin serves zeros; what begins at limit or behind is answered by fault. It counts the requests to either.
type deepOrigin struct {
	limit         int64
	fault         http.HandlerFunc
	shallow, deep atomic.Int64
}

func (o *deepOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	first, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Range"), "bytes="), "-")
	if off, _ := strconv.ParseInt(first, 10, 64); off < o.limit {
		o.shallow.Add(1)
		http.ServeContent(w, r, "deep.zst", time.Time{}, io.NewSectionReader(zeros{}, 0, deepLength))
		return
	}
	o.deep.Add(1)
	o.fault(w, r)
}

func startDeep(t *testing.T, o *deepOrigin) string {
	t.Helper()
	server := httptest.NewServer(o)
	t.Cleanup(server.Close)
	return server.URL + "/deep.zst"
}

// An origin that cannot serve the end of a large file is asked for the beginning alone, and nothing hangs on the rest.
func TestOriginWithoutDeepRanges(t *testing.T) {
	tor := deepTorrent(t)
	faults := map[string]http.HandlerFunc{
		"416": status(http.StatusRequestedRangeNotSatisfiable),
		"502": status(http.StatusBadGateway),
		"32 bits": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Range", "bytes 0-0/2147483648")
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write([]byte{0})
		},
		"cuts it off": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"the whole file": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(deepLength))
			_, _ = w.Write(make([]byte, 1<<20))
		},
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &deepOrigin{limit: 1 << 32, fault: fault}
			c := newClient(t, swarm.Fast(swarm.Config{HTTP: client(t)}))
			s := add(t, c, swarm.AddOptions{Torrent: tor, Origins: []string{startDeep(t, o)}})
			defer s.Want(deepLength/deepPiece-4, deepLength/deepPiece-1, swarm.Soon)() // nobody has that
			for _, i := range []int{0, 200, 255} {
				if err := s.WaitPiece(t.Context(), i); err != nil {
					t.Fatal(err)
				}
			}
			if n := o.deep.Load(); n > 6 {
				t.Errorf("%d requests for what the origin does not serve", n)
			}
			if st := s.Stats().Origins[0]; st.Failures > 0 {
				t.Errorf("the origin counts as failing: %+v", st)
			}
			whole := &deepOrigin{limit: deepLength}
			s.SetOrigins([]string{s.Stats().Origins[0].URL, startDeep(t, whole)})
			if err := s.WaitPiece(t.Context(), deepLength/deepPiece-1); err != nil {
				t.Fatal(err)
			}
		})
	}
}
