package swarm_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

// leechEnv makes the test binary a leech of its own process: torrent file, folder and a peer or an origin, separated by newlines.
const leechEnv = "SNAPSWARM_BENCH_LEECH"

// leechMain downloads and prints the seconds from Add to Done.
func leechMain(args string) error {
	a := strings.Split(args, "\n")
	b, err := os.ReadFile(a[0])
	if err != nil {
		return err
	}
	tor, err := snapshot.ParseTorrent(b)
	if err != nil {
		return err
	}
	options := swarm.AddOptions{Torrent: tor, Dir: a[1], Background: true}
	if strings.HasPrefix(a[2], "http:") {
		options.Origins = a[2:]
	} else {
		options.Peers = a[2:]
	}
	c, err := swarm.New(context.Background(), swarm.Config{ListenAddr: "127.0.0.1:0", AllowPrivate: true})
	if err != nil {
		return err
	}
	start := time.Now()
	s, err := c.Add(context.Background(), options)
	if err != nil {
		return err
	}
	<-s.Done()
	fmt.Println(time.Since(start).Seconds())
	return c.Close()
}

// BenchmarkLeech downloads 1 GiB over loopback from one seed of ours, each client in a process of its own: this package and
// libtorrent. Wall time from adding the torrent:
//
//	go test -run '^$' -bench Leech -benchtime 3x ./common/swarm
func BenchmarkLeech(b *testing.B) {
	const size = 1 << 30
	dir := b.TempDir()
	data, tor := content(b, "data.zst", size, snapshot.PieceLengthFor(size))
	seed := newSeed(b, data, tor)
	host, port, err := net.SplitHostPort(seed.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	torrent := filepath.Join(dir, "t.torrent")
	if err := os.WriteFile(torrent, tor.Encode(), 0o600); err != nil {
		b.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	leeches := map[string]func(dir string) *exec.Cmd{
		"ours": func(dir string) *exec.Cmd {
			cmd := exec.CommandContext(b.Context(), self)
			cmd.Env = append(os.Environ(), leechEnv+"="+strings.Join([]string{torrent, dir, seed.Addr().String()}, "\n"))
			return cmd
		},
		"libtorrent": func(dir string) *exec.Cmd {
			return exec.CommandContext(b.Context(), "/usr/bin/python3", "testdata/leech.py", torrent, dir, host, port)
		},
	}
	for _, name := range []string{"ours", "libtorrent"} {
		b.Run(name, func(b *testing.B) { benchLeech(b, tor, data, leeches[name]) })
	}
}

func benchLeech(b *testing.B, tor *snapshot.Torrent, data []byte, command func(dir string) *exec.Cmd) {
	var wall, cpu float64
	for range b.N {
		dir := b.TempDir()
		cmd := command(dir)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			b.Skipf("%v: %v: %s", cmd.Args[:1], err, stderr.Bytes())
		}
		seconds, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
		if err != nil {
			b.Fatal(err)
		}
		wall += seconds
		cpu += (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
		b.StopTimer()
		wantFile(b, filepath.Join(dir, tor.Name), data)
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(wall/float64(b.N), "s/GiB")
	b.ReportMetric(cpu/float64(b.N), "cpu-s/GiB")
}

// BenchmarkRestart adds a sparse snapshot of 1 TiB in 64 Ki pieces whose record is complete, until its first byte is read.
func BenchmarkRestart(b *testing.B) {
	const pieces = 64 << 10
	dir := b.TempDir()
	tor, err := snapshot.NewTorrent(snapshot.Content{
		Name: "data.zst", Length: pieces << 24, PieceLength: 1 << 24, Pieces: make([]byte, pieces*20),
	})
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(dir, tor.Name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.Truncate(path, tor.Length); err != nil {
		b.Skipf("no sparse files here: %v", err)
	}
	restart := func(have bool) {
		c, err := startClient(b, swarm.Config{})
		if err != nil {
			b.Fatal(err)
		}
		s := add(b, c, swarm.AddOptions{Torrent: tor, Dir: dir, Have: have, Background: true})
		if n, err := s.ReadAt(b.Context(), make([]byte, 1), tor.Length/2); n != 1 || err != nil {
			b.Fatal(n, err)
		}
		b.StopTimer()
		defer b.StartTimer()
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
	restart(true)
	b.ReportAllocs()
	for b.Loop() {
		restart(false)
	}
	var rss runtime.MemStats
	runtime.ReadMemStats(&rss)
	b.ReportMetric(float64(rss.Sys)/(1<<20), "MiB-sys")
}

// BenchmarkMirrors starts mirrors at once, in one process, with an origin of 32 MiB/s for 256 MiB in pieces of 1 MiB: bytes that the
// origin sent over the size of the snapshot, and the time until the last mirror is complete.
func BenchmarkMirrors(b *testing.B) {
	data, tor := content(b, "data.zst", 256<<20, 1<<20)
	for _, mirrors := range []int{1, 4, 8} {
		b.Run(strconv.Itoa(mirrors), func(b *testing.B) {
			var egress int64
			for range b.N {
				o := newOrigin(b, data, limited(32<<20, 1<<20))
				var all []*swarm.Snapshot
				var peers []string
				for range mirrors {
					c := newClient(b, swarm.Config{HTTP: client(b), Log: slog.New(slog.DiscardHandler)})
					all = append(all, add(b, c, swarm.AddOptions{
						Torrent: tor, Origins: []string{o.URL}, Peers: peers, Background: true,
					}))
					peers = append(peers, c.Addr().String())
				}
				for _, s := range all {
					<-s.Done()
				}
				egress += o.sent.Load()
			}
			b.ReportMetric(float64(egress)/float64(b.N)/float64(len(data)), "egress")
		})
	}
}
