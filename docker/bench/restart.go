package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"snapswarm/common/snapshot"
)

const (
	restartPieces      = 64 << 10
	restartPieceLength = 16 << 20 // times restartPieces: 1 TiB
	restartSeconds     = 10       // until the first byte
	restartMemory      = 1024     // MiB
	restartFile        = "snapshot.zst"
)

// measureRestart measures how soon a mirror and a gateway that have a huge snapshot serve it after a restart.
func measureRestart(ctx context.Context, b *bench, dir string) (section, error) {
	pieces := max(64, int(restartPieces*b.scale))
	h, err := b.makeHuge(ctx, dir, pieces)
	if err != nil {
		return section{}, err
	}
	defer h.close()
	var contestants []contestant
	for _, program := range []string{"mirror", "gateway"} {
		contestants = append(contestants, contestant{name: program, run: func(ctx context.Context, _ string) (usage, error) { return b.restart(ctx, h, program) }})
	}
	results, err := b.compare(ctx, b.rounds, contestants)
	if err != nil {
		return section{}, err
	}
	s := section{
		title: fmt.Sprintf("restart: %d GiB in %d pieces, all of them here", h.torrent.Length>>30, pieces),
		notes: []string{
			"A process is started on the state that one before it left: a sparse file of zeros, the record that vouches for its pieces, the torrent, the",
			"newest pointer, and the mirror's note that the whole was verified; the bucket has the pointer, too. First byte: of a piece in the middle, by",
			"BitTorrent from the mirror, by HTTP from the gateway, asked for again until it comes. Wall time is from exec until then; peak memory and",
			"CPU time are those until 3 s later, when whatever would be hashed or looked for in the background had begun. The scrubber, which reads on",
			"purpose, is off (SCRUB_RATE=0); the page cache is warm.",
		},
		table: tabulate(results, []column{
			figure("first byte s", "%.2f", wallSeconds), most("most s", "%.2f", wallSeconds), figure("CPU s", "%.2f", cpuSeconds),
			most("peak MiB", "%.0f", peakMiB), figure("others' CPU", "%.0f %%", othersPercent),
		}),
	}
	for _, r := range results {
		s.bars = append(s.bars, secondsAtMost("first byte after a restart, "+r.name, r, restartSeconds), memoryAtMost("peak memory, "+r.name, r, restartMemory))
	}
	for _, program := range []string{"mirror", "gateway"} {
		calls, lines := b.traceRestart(ctx, h, program, filepath.Join(dir, program+".trace"))
		s.bars, s.after = append(s.bars, calls...), append(s.after, lines...)
	}
	return s, nil
}

// most is a column with the largest value of m.
func most(head, format string, m metric) column {
	return column{head, func(r result) string { return fmt.Sprintf(format, largest(r.values(m))) }}
}

func largest(values []float64) float64 {
	var most float64
	for _, v := range values {
		most = max(most, v)
	}
	return most
}

// secondsAtMost is the bar that no run of r takes longer.
func secondsAtMost(what string, r result, limit float64) bar {
	most := largest(r.values(wallSeconds))
	return bar{what: what, measured: fmt.Sprintf("%.2f s", most), limit: fmt.Sprintf("≤ %.0f s", limit), met: len(r.runs) > 0 && most <= limit}
}

// huge is a snapshot that a mirror and a gateway have.
type huge struct {
	*channel

	torrent *snapshot.Torrent
	version snapshot.Version
	dir     string
}

// data is DATA_DIR of a program.
func (h *huge) data(program string) string { return filepath.Join(h.dir, program) }

// archive is where its copy lies.
func (h *huge) archive(program string) string {
	return filepath.Join(h.data(program), salt, string(h.version), restartFile)
}

// settle is how long a process is watched after its first byte.
const settle = 3 * time.Second

// restart starts a program, waits for its first byte and ends it.
func (b *bench) restart(ctx context.Context, h *huge, program string) (usage, error) {
	addr, err := freePort(ctx)
	if err != nil {
		return usage{}, err
	}
	ops, err := freePort(ctx)
	if err != nil {
		return usage{}, err
	}
	cmd := b.command(ctx, h.settings(program, addr), b.program(program), "--metrics-addr", ops)
	m := startMeter(nil)
	s, err := b.start(program, cmd)
	if err != nil {
		return usage{}, err
	}
	defer func() {
		if s != nil {
			b.stopServer(s)
		}
	}()
	if err := s.await(ctx, "serves nothing", h.asker(ctx, program, addr)); err != nil {
		return usage{}, err
	}
	u := m.stop()
	if err := pause(ctx, settle); err != nil {
		return u, err
	}
	u.memory = peakOf(s)
	err = h.check(ctx, "http://"+ops, s.output.String())
	b.stopServer(s)
	s = nil
	u.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return u, err
}

// settings of a program that serves at addr and knows nobody but the bucket.
func (h *huge) settings(program, addr string) map[string]string {
	s := map[string]string{
		"CHANNEL": h.link, "BUCKET_URL": h.url, "DATA_DIR": h.data(program), "LISTEN_ADDR": addr,
		"SCRUB_RATE": "0", // it reads the archive on purpose
	}
	if program == "gateway" {
		s["LISTEN_ADDR"], s["HTTP_ADDR"] = "127.0.0.1:0", addr
	}
	return s
}

// asker asks for the first byte of the piece in the middle, and reports whether it came.
func (h *huge) asker(ctx context.Context, program, addr string) func() bool {
	middle := h.torrent.NumPieces() / 2
	if program == "gateway" {
		url := "http://" + addr + "/" + salt + "/" + string(h.version) + "/" + restartFile
		return func() bool { return firstByteByHTTP(ctx, url, int64(middle)*h.torrent.PieceLength) == nil }
	}
	return func() bool { return firstByteFromPeer(ctx, addr, h.torrent, middle) == nil }
}

// check finds out whether a program that has been running for a while has anything to do besides serving.
func (h *huge) check(ctx context.Context, ops, output string) error {
	status, err := readText(ctx, ops+"/readyz?verbose")
	if err != nil {
		return err
	}
	return idle(status, output)
}

// idle is an error if status or log of a program that has everything tell of work.
func idle(status, output string) error {
	for _, word := range []string{"verifying", "downloading", "hashed again", "download begins", "wrong"} {
		if strings.Contains(status+output, word) {
			return fmt.Errorf("the restart was not one on complete and verified data (%q): %s\n%s", word, status, tail(output))
		}
	}
	return nil
}

// readText is the answer to a GET, whatever its status.
func readText(ctx context.Context, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	const enough = 64 << 10
	text, err := io.ReadAll(io.LimitReader(answer.Body, enough))
	return string(text), err
}

// peakOf is a process's peak memory in bytes. Unlike what wait4 says it does not count that of its parent.
func peakOf(s *server) int64 {
	kib, err := strconv.ParseInt(strings.TrimSuffix(s.memory(), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// makeHuge makes the snapshot, the bucket's part of it, and what a mirror and a gateway that have all of it keep on disk.
func (b *bench) makeHuge(ctx context.Context, dir string, pieces int) (*huge, error) {
	ch, err := b.newChannel(ctx, dir)
	if err != nil {
		return nil, err
	}
	h := &huge{channel: ch, dir: dir}
	self, err := os.Executable()
	if err != nil {
		return h, err
	}
	b.logf("making %d pieces of zeros", pieces)
	if _, err := b.measure(b.command(ctx, nil, self, adoptHuge, dir, ch.key, strconv.Itoa(pieces))); err != nil {
		return h, fmt.Errorf("make the snapshot: %w", err)
	}
	path, err := ch.file(restartFile + ".torrent")
	if err != nil {
		return h, err
	}
	h.version = snapshot.Version(filepath.Base(filepath.Dir(path)))
	h.torrent, err = readTorrent(path)
	return h, err
}
