package swarm_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

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
		b.Fatal(err)
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
	for _, mirrors := range []int{1, 4, 8, 16} {
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
