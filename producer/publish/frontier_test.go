package publish_test

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

const (
	gib = 1 << 30
	mib = 1 << 20
)

// vast makes a sparse archive of that many bytes and stores it with its torrent, as a publication would. It is all zeros,
// except that the pieces which end and begin at each full GiB differ from all others.
func (b *bench) vast(v snapshot.Version, previous snapshot.InfoHash, length int64) *snapshot.Torrent {
	b.t.Helper()
	const file = "vast.zst"
	path := filepath.Join(b.bucket, bucket.ArchiveKey(salt, v, file))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(length); err != nil {
		b.t.Fatal(err)
	}
	n := (length + mib - 1) / mib
	zero, last := sha1.Sum(make([]byte, mib)), sha1.Sum(make([]byte, length-(n-1)*mib))
	pieces := append(bytes.Repeat(zero[:], int(n-1)), last[:]...)
	for at := int64(gib); at < length; at += gib {
		for _, i := range []int64{at/mib - 1, at / mib} {
			piece := make([]byte, min(mib, length-i*mib))
			copy(piece, fmt.Sprintf("piece %d", i))
			sum := sha1.Sum(piece)
			copy(pieces[i*sha1.Size:], sum[:])
			if _, err := f.WriteAt(piece[:20], i*mib); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	tor, err := snapshot.NewTorrent(snapshot.Content{
		Name: file, Length: length, PieceLength: mib, Pieces: pieces,
		Description: &snapshot.Description{
			Version: v, Created: v.Time(), Kind: snapshot.KindFile, RawSize: length, RawName: "vast",
			Codec: snapshot.Codec{Format: snapshot.FormatNone}, Previous: previous,
		},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, key := range []string{bucket.TorrentKey(salt, v, file), bucket.InfoHashKey(tor.InfoHash)} {
		if err := b.store.Put(b.t.Context(), key, bytes.NewReader(tor.Encode()), int64(len(tor.Encode())), bucket.PutOptions{}); err != nil {
			b.t.Fatal(err)
		}
	}
	return tor
}

// rangeOf is the first byte that a request asks for, 0 if it asks for all.
func rangeOf(r *http.Request) (first, last int64) {
	_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last)
	return first, last
}

// brokenBeyond are servers that are fine up to some offset, each with what the probe says of it.
func brokenBeyond(files http.Handler) map[string]struct {
	serve http.HandlerFunc
	want  error
} {
	type row = struct {
		serve http.HandlerFunc
		want  error
	}
	return map[string]row{
		"it refuses what lies beyond 5 GiB": {func(w http.ResponseWriter, r *http.Request) {
			if first, _ := rangeOf(r); first >= 5*gib {
				http.Error(w, "InvalidRange", http.StatusRequestedRangeNotSatisfiable)
				return
			}
			files.ServeHTTP(w, r)
		}, publish.ErrNotPublic},
		"it cannot reach the last byte below 5 GiB": {func(w http.ResponseWriter, r *http.Request) {
			if first, last := rangeOf(r); first < 5*gib && last >= 5*gib-1 {
				http.Error(w, "oops", http.StatusInternalServerError)
				return
			}
			files.ServeHTTP(w, r)
		}, publish.ErrNotPublic},
		"it counts in 32 bits": {func(w http.ResponseWriter, r *http.Request) {
			first, last := rangeOf(r)
			if first < 4*gib {
				files.ServeHTTP(w, r)
				return
			}
			r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first%(4*gib), last%(4*gib)))
			files.ServeHTTP(&relabel{w, fmt.Sprintf("bytes %d-%d/*", first, last)}, r)
		}, publish.ErrWrongBytes},
		"it ends the connection beyond 2 GiB": {func(w http.ResponseWriter, r *http.Request) {
			if first, _ := rangeOf(r); first >= 2*gib {
				panic(http.ErrAbortHandler)
			}
			files.ServeHTTP(w, r)
		}, publish.ErrNotPublic},
	}
}

// relabel claims another range than the one that is answered.
type relabel struct {
	http.ResponseWriter
	contentRange string
}

func (r *relabel) WriteHeader(status int) {
	r.Header().Set("Content-Range", r.contentRange)
	r.ResponseWriter.WriteHeader(status)
}

func TestTheProbeReadsAcrossTheFrontiers(t *testing.T) {
	b := newBench(t)
	tor := b.vast("20261120T060000Z", snapshot.InfoHash{}, 5*gib+3*mib+17)
	files := http.FileServer(http.Dir(b.bucket))
	if err := publish.Probe(t.Context(), b.public, salt, tor, time.Second); err != nil {
		t.Fatalf("through a good server: %v", err)
	}
	for name, row := range brokenBeyond(files) {
		t.Run(name, func(t *testing.T) {
			err := publish.Probe(t.Context(), b.serve(row.serve), salt, tor, 200*time.Millisecond)
			if !errors.Is(err, row.want) || !strings.Contains(err.Error(), "the pointer was not moved") {
				t.Errorf("probe = %v, want %v", err, row.want)
			}
		})
	}
}

func TestWhichPiecesAreProbed(t *testing.T) {
	for name, row := range map[string]struct {
		length, piece int64
		always        []int // whatever the seed
		random        int   // at most so many more
	}{
		"one piece":             {1, mib, []int{0}, 0},
		"small":                 {100*mib + 1, mib, []int{0, 100}, 3},
		"exactly 2 GiB":         {2 * gib, mib, []int{0, 2047}, 3},
		"a byte more":           {2*gib + 1, mib, []int{0, 2047, 2048}, 3},
		"beyond 4 GiB":          {4*gib + 9*mib, mib, []int{0, 2047, 2048, 4095, 4096, 4104}, 4},
		"beyond 5 GiB":          {8 * gib, mib, []int{0, 2047, 2048, 4095, 4096, 5119, 5120, 8191}, 4},
		"a TiB of large pieces": {1 << 40, 32 * mib, []int{0, 63, 64, 127, 128, 159, 160, 32767}, 4},
	} {
		for seed := range uint64(50) {
			tor := &snapshot.Torrent{Length: row.length, PieceLength: row.piece}
			got := publish.ProbePieces(tor, seed)
			if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) || got[len(got)-1] >= tor.NumPieces() {
				t.Fatalf("%s, seed %d: %v are not different pieces in their order", name, seed, got)
			}
			for _, i := range row.always {
				if !slices.Contains(got, i) {
					t.Errorf("%s, seed %d: %v lacks piece %d", name, seed, got, i)
				}
			}
			if more := len(got) - len(row.always); more > row.random {
				t.Errorf("%s, seed %d: %v are %d pieces more than needed, want %d at most", name, seed, got, more, row.random)
			}
			if !slices.Equal(got, publish.ProbePieces(tor, seed)) {
				t.Errorf("%s: seed %d does not choose the same twice", name, seed)
			}
		}
	}
}

func TestARandomPieceLiesBeyondTheLastFrontier(t *testing.T) {
	tor := &snapshot.Torrent{Length: 6 * gib, PieceLength: mib}
	found := 0
	for seed := range uint64(100) {
		if slices.ContainsFunc(publish.ProbePieces(tor, seed), func(i int) bool { return i > 5120 && i < tor.NumPieces()-1 }) {
			found++
		}
	}
	if found < 99 { // the seeds are fixed: one chooses the frontier or the end itself
		t.Errorf("%d of 100 seeds choose a piece between 5 GiB and the end", found)
	}
}
