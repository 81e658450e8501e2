package main

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"snapswarm/common/snapshot"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 2, 9}, 3},
	} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.values, got, tt.want)
		}
	}
}

func walls(seconds ...int) result {
	var r result
	for _, s := range seconds {
		r.runs = append(r.runs, usage{wall: time.Duration(s) * time.Second})
	}
	return r
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	base, ours := walls(10, 20, 40), walls(11, 22, 20) // the machine was slow in the second and third round
	want := bar{what: "wall", measured: "1.10 x (0.50 to 1.10)", limit: "≤ 1.15 x", met: true}
	if got := timesAtMost("wall", ours, base, 1.15); got != want {
		t.Errorf("timesAtMost = %+v, want %+v", got, want)
	}
	if got := timesAtMost("wall", ours, base, 1.05); got.met || got.verdict() != "MISSED" {
		t.Errorf("1.10 x is %q of at most 1.05 x", got.verdict())
	}
}

func TestABarWithoutTheOtherProgramIsNotMet(t *testing.T) {
	got := timesAtMost("wall", walls(1), result{missing: "aria2c"}, 1)
	if got.met || got.measured != "not measured" {
		t.Errorf("timesAtMost without a base = %+v, want not measured", got)
	}
}

func TestTableShowsWhatIsMissing(t *testing.T) {
	results := []result{walls(2, 3, 4), {name: "other", missing: "aria2c"}}
	results[0].name = "ours"
	section := section{title: "Title", table: tabulate(results, []column{figure("wall s", "%.1f", wallSeconds)})}
	var b strings.Builder
	section.write(&b)
	want := `
## Title


| medians |                  wall s |
|---------|------------------------:|
| ours    |                     3.0 |
| other   | aria2c is not installed |
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("section (-want +got):\n%s", diff)
	}
}

func TestCountCallsJoinsInterruptedOnes(t *testing.T) {
	const trace = `101 sendfile(9, 8, NULL, 4194304) = 4000
102 read(5, ""..., 16) = 16
101 sendfile(9, 8, NULL, 4194304 <unfinished ...>
102 write(4, ""..., 3) = -1 EAGAIN (Resource temporarily unavailable)
101 <... sendfile resumed>) = 96
102 +++ exited with 0 +++
`
	got, err := countCalls(strings.NewReader(trace))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]count{"sendfile": {calls: 2, bytes: 4096}, "read": {calls: 1, bytes: 16}, "write": {calls: 1, failed: 1}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(count{})); diff != "" {
		t.Errorf("countCalls (-want +got):\n%s", diff)
	}
}

func TestStepTookReadsTheLog(t *testing.T) {
	const log = `{"level":"INFO","msg":"step done","step":"get bench","took":2500000000}
not JSON
{"level":"INFO","msg":"step done","step":"verify bench","took":1000000}
`
	if got, err := stepTook([]byte(log), "verify bench"); err != nil || got != time.Millisecond {
		t.Errorf("stepTook(verify) = %v, %v, want 1ms", got, err)
	}
	if _, err := stepTook([]byte(log), "extract bench"); err == nil {
		t.Error("a step that the log lacks took no time")
	}
}

func TestTrackerNamesThePeer(t *testing.T) {
	w := httptest.NewRecorder()
	onePeerTracker("127.0.0.1:6881")(w, httptest.NewRequestWithContext(t.Context(), "GET", "/announce?info_hash=x", nil))
	if got, want := w.Body.String(), "d8:intervali1800e5:peers6:\x7f\x00\x00\x01\x1a\xe1e"; got != want {
		t.Errorf("announce = %q, want %q", got, want)
	}
}

func TestDataIsTheSameEachTime(t *testing.T) {
	for name, fill := range map[string]func() filler{"noise": noise, "ledger": ledger} {
		sum := func() [32]byte {
			f, h := fill(), sha256.New()
			block := make([]byte, 64<<10)
			for range 4 {
				f(block)
				_, _ = h.Write(block)
			}
			return [32]byte(h.Sum(nil))
		}
		if first, second := sum(), sum(); first != second {
			t.Errorf("%s differs from call to call", name)
		}
	}
}

func TestUnknownMeasurementsAreRefused(t *testing.T) {
	for name, o := range map[string]options{
		"a name that nobody knows": {names: []string{"nothing"}, rounds: 1, scale: 1},
		"no round":                 {scale: 1},
		"more than all data":       {rounds: 1, scale: 2},
	} {
		if o.check() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	o := options{rounds: 1, scale: 1}
	if err := o.check(); err != nil || len(o.names) != len(measurements()) {
		t.Errorf("check() = %v with %v, want all measurements", err, o.names)
	}
}

func TestCheckDataFindsADifference(t *testing.T) {
	path := t.TempDir() + "/data"
	sum, err := writeData(t.Context(), path, 100_000, noise())
	if err != nil {
		t.Fatal(err)
	}
	if err := checkData(path, sum); err != nil {
		t.Error(err)
	}
	if _, err := writeData(t.Context(), path, 100_001, noise()); err != nil {
		t.Fatal(err)
	}
	if checkData(path, sum) == nil {
		t.Error("a longer file passes")
	}
}

func TestEncodeHashDoesTheSameWork(t *testing.T) {
	path := t.TempDir() + "/data"
	if _, err := writeData(t.Context(), path, 9<<20, ledger()); err != nil {
		t.Fatal(err)
	}
	var alone, hashed strings.Builder
	for out, hashes := range map[io.Writer]bool{&alone: false, &hashed: true} {
		if err := runEncode(path, hashes, out); err != nil {
			t.Fatal(err)
		}
	}
	if alone.String() != hashed.String() || len(alone.String()) < 2 {
		t.Errorf("frames of %q and %q bytes", alone.String(), hashed.String())
	}
}

func TestSlowOriginCountsAndLimits(t *testing.T) {
	dir := t.TempDir()
	const size = 2 << 20
	if err := os.WriteFile(filepath.Join(dir, "file"), make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	o := newSlowOrigin(dir, "file", 4<<20)
	server := httptest.NewServer(o)
	defer server.Close()
	began := time.Now()
	res, err := server.Client().Get(server.URL + "/file") //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if n, err := io.Copy(io.Discard, res.Body); n != size || err != nil {
		t.Fatalf("got %d bytes, %v", n, err)
	}
	if took, least := time.Since(began), 450*time.Millisecond; took < least {
		t.Errorf("2 MiB at 4 MiB/s took %v, want at least %v", took, least)
	}
	if got := o.sent.Load(); got != size {
		t.Errorf("counted %d bytes, want %d", got, size)
	}
}

func TestALiarGreetsAsASeed(t *testing.T) {
	tor, err := snapshot.NewTorrent(snapshot.Content{
		Name: "file", Length: 10 << 18, PieceLength: 1 << 18, Pieces: make([]byte, 10*sha1.Size),
	})
	if err != nil {
		t.Fatal(err)
	}
	b := (&liar{torrent: tor}).greeting()
	if want := []byte("\x00\x00\x00\x03\x05\xff\xc0\x00\x00\x00\x01\x01"); !bytes.HasSuffix(b, want) || len(b) != 68+len(want) {
		t.Errorf("greeting = %q, want a handshake, 10 pieces and unchoke", b)
	}
}

func TestDelaysAreJudgedByTheLongest(t *testing.T) {
	s := pointerSection(20*time.Second, []delays{{"mirrors", []float64{3, 25.5, 1}}, {"gateway", []float64{24.9}}, {"nobody", nil}})
	var got []string
	for _, b := range s.bars {
		got = append(got, b.measured+" "+b.verdict())
	}
	if diff := cmp.Diff([]string{"25.5 s MISSED", "24.9 s met", "0.0 s MISSED"}, got); diff != "" {
		t.Errorf("bars (-want +got):\n%s", diff)
	}
}

func TestFoundAfterReadsTheLog(t *testing.T) {
	const log = `{"time":"2026-11-20T06:00:01Z","msg":"pointer found","seq":5}
not JSON
{"time":"2026-11-20T06:00:02.5Z","msg":"pointer found","seq":7}
{"time":"2026-11-20T06:00:09Z","msg":"pointer found","seq":8}
`
	at, seq, ok := foundAfter(log, 5)
	if want := time.Date(2026, 11, 20, 6, 0, 2, 5e8, time.UTC); !ok || seq != 7 || !at.Equal(want) {
		t.Errorf("foundAfter(5) = %v, %d, %v, want %v, 7", at, seq, ok, want)
	}
	if _, _, ok := foundAfter(log, 8); ok {
		t.Error("a pointer after the last was found")
	}
}
