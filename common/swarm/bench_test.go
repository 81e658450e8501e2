package swarm_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

// leechEnv makes the test binary a leech of its own process: torrent file, folder and peer, separated by newlines.
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
	c, err := swarm.New(context.Background(), swarm.Config{ListenAddr: "127.0.0.1:0", AllowPrivate: true, SeedPeers: a[2:]})
	if err != nil {
		return err
	}
	start := time.Now()
	s, err := c.Add(context.Background(), swarm.AddOptions{Torrent: tor, Dir: a[1], Background: true})
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
