package publish_test

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"snapswarm/common/archive"
	"snapswarm/common/bucket"
	"snapswarm/producer/publish"
)

const (
	benchJob    = "SNAPSWARM_BENCH_JOB"    // what a child process of the benchmark does
	benchSource = "SNAPSWARM_BENCH_SOURCE" // the file it does it with
	benchDir    = "SNAPSWARM_BENCH_DIR"    // where it may write
	benchSize   = "SNAPSWARM_BENCH_SIZE"   // bytes; 2 GiB if not set
	benchRuns   = 3
)

// TestMain lets tests kill whole processes, and the benchmark measure their time and memory: it runs this program again as
// each job.
func TestMain(m *testing.M) {
	job := os.Getenv(benchJob)
	if job == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if err := runJob(job, os.Getenv(benchSource), os.Getenv(benchDir)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runJob(job, source, dir string) error {
	ctx := context.Background()
	if job == "command" {
		return publish.RunCommand(ctx, orphans, source, slog.New(slog.DiscardHandler))
	}
	if job == "encode" {
		src, err := archive.FileSource(source)
		if err != nil {
			return err
		}
		_, err = archive.Write(ctx, io.Discard, src, archive.Options{})
		return err
	}
	www := filepath.Join(dir, "www")
	if err := os.MkdirAll(www, 0o755); err != nil {
		return err
	}
	store, err := bucket.Open(bucket.Config{URL: "file://" + www})
	if err != nil {
		return err
	}
	server := httptest.NewServer(http.FileServer(http.Dir(www)))
	defer server.Close()
	client, err := bucket.NewHTTPClient(bucket.Policy{AllowPrivate: true})
	if err != nil {
		return err
	}
	public, err := bucket.NewReader(server.URL, client)
	if err != nil {
		return err
	}
	p, err := publish.New(publish.Config{
		Key: ed25519.NewKeyFromSeed(make([]byte, 32)), Salt: "bench", DataDir: filepath.Join(dir, "data"), Store: store, Public: public,
	})
	if err != nil {
		return err
	}
	src, err := publish.OpenSource(ctx, source)
	if err != nil {
		return err
	}
	rep, err := p.Publish(ctx, publish.Request{Source: src})
	for _, s := range rep.Steps {
		fmt.Printf("%s %v, ", s.Step, s.Took.Round(time.Millisecond))
	}
	return err
}

// BenchmarkPublish measures the whole pipeline into file:// beside encoding alone and the zstd program, each a process of
// its own, taking turns so that the machine's moods hit all alike. It reports medians: how many times as long as encoding
// alone the pipeline takes (at most 1.15 is wanted), and its peak memory (at most 512 MiB).
func BenchmarkPublish(b *testing.B) {
	size := int64(2 << 30)
	if s := os.Getenv(benchSize); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		size = n
	}
	source := filepath.Join(b.TempDir(), "ledger.ldb")
	if err := writeMixed(source, size); err != nil {
		b.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	jobs := []job{
		{name: "encode", command: []string{self}},
		{name: "publish", command: []string{self}},
		{name: "zstd -T0 -3", command: []string{"zstd", "-q", "-T0", "-3", "-f", source, "-o"}},
	}
	for range b.N {
		for range benchRuns {
			for i := range jobs {
				jobs[i].run(b, source)
			}
		}
	}
	var table strings.Builder // in one piece: only the first ten logs are shown
	for _, j := range jobs {
		table.WriteString("\n" + j.String(size))
	}
	b.Log(table.String())
	encode, whole := jobs[0].median(), jobs[1].median()
	b.ReportMetric(whole.wall.Seconds()/encode.wall.Seconds(), "x-of-encoding")
	b.ReportMetric(whole.cpu.Seconds()/encode.cpu.Seconds(), "x-of-its-CPU")
	b.ReportMetric(float64(slices.MaxFunc(jobs[1].runs, byMemory).memory)/(1<<20), "peak-MiB")
	b.ReportMetric(float64(size)/1e6/whole.wall.Seconds(), "pipeline-MB/s")
}

// job is a program to be measured, and what was measured.
type job struct {
	name    string
	command []string
	runs    []usage
}

type usage struct {
	wall, cpu time.Duration
	memory    int64 // peak, in bytes
	said      string
}

func (j *job) run(b *testing.B, source string) {
	b.Helper()
	if _, err := exec.LookPath(j.command[0]); err != nil {
		return // zstd is only for comparison
	}
	dir := b.TempDir()
	args := j.command[1:]
	if len(args) > 0 {
		args = append(slices.Clone(args), filepath.Join(dir, "out.zst"))
	}
	cmd := exec.CommandContext(b.Context(), j.command[0], args...)
	cmd.Env = append(os.Environ(), benchJob+"="+j.name, benchSource+"="+source, benchDir+"="+dir)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	wall := time.Since(began)
	if err != nil {
		b.Fatalf("%s: %v: %s", j.name, err, out)
	}
	j.runs = append(j.runs, usage{wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), peak(cmd.ProcessState), string(out)})
	if err := os.RemoveAll(dir); err != nil {
		b.Fatal(err)
	}
}

func peak(s *os.ProcessState) int64 {
	ru, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return ru.Maxrss
	}
	return ru.Maxrss * 1024
}

func byMemory(a, b usage) int { return int(a.memory - b.memory) }

func (j *job) median() usage {
	if len(j.runs) == 0 {
		return usage{}
	}
	sorted := slices.SortedFunc(slices.Values(j.runs), func(a, b usage) int { return int(a.wall - b.wall) })
	return sorted[len(sorted)/2]
}

func (j *job) String(size int64) string {
	if len(j.runs) == 0 {
		return j.name + ": not installed"
	}
	m := j.median()
	return fmt.Sprintf("median %-11s %6.2f s wall, %6.2f s CPU, %5.0f MB/s, %4d MiB  %s", j.name, m.wall.Seconds(), m.cpu.Seconds(),
		float64(size)/1e6/m.wall.Seconds(), m.memory>>20, m.said)
}

// writeMixed writes what a database is like: in turns, records with common parts, text, and keys and hashes that nobody
// can compress. The same size gives the same bytes.
func writeMixed(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	source := rand.NewChaCha8([32]byte{42})
	random := rand.New(source)
	block := make([]byte, 64<<10)
	for left := size; left > 0; left -= int64(len(block)) {
		fillBlock(block, source, random)
		if _, err := w.Write(block[:min(left, int64(len(block)))]); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

func fillBlock(block []byte, source *rand.ChaCha8, random *rand.Rand) {
	const record = 128
	_, _ = source.Read(block)
	kind := random.IntN(3)
	for at := 0; kind > 0 && at < len(block); at += record {
		if kind == 1 { // a record: half of it is the same in all
			copy(block[at:at+record/2], "account:balance:representative:previous:link:timestamp:sideband:")
			continue
		}
		for i := at; i < at+record; i++ { // text of 16 letters
			block[i] = 'a' + block[i]&15
		}
	}
}
