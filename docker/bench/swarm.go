package main

import (
	"bufio"
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	swarmSize  = 1 << 30
	swarmTimes = 1.1 // of libtorrent
	swarmFile  = "snapshot.bin"
)

// python is Debian's own, for which python3-libtorrent is packaged.
const python = "/usr/bin/python3"

//go:embed leech.py
var leechScript string

// seed is a producer that serves one published file, which its bucket does not have.
type seed struct {
	*channel
	addr    string // for peers
	torrent string // file
	sha256  string
	size    int64
}

// startSeed publishes size bytes that do not compress, and runs the producer.
func (b *bench) startSeed(ctx context.Context, dir string, size int64) (*seed, error) {
	ch, err := b.newChannel(ctx, dir)
	if err != nil {
		return nil, err
	}
	s := &seed{channel: ch, size: size}
	b.logf("publishing %d MiB", size>>20)
	source := filepath.Join(dir, swarmFile)
	if s.sha256, err = writeData(ctx, source, size, noise()); err != nil {
		return s, err
	}
	if out, err := b.publish(ctx, ch, source, "", "none").CombinedOutput(); err != nil {
		return s, fmt.Errorf("publish: %w: %s", err, tail(string(out)))
	}
	archive, err := ch.file(swarmFile)
	if err != nil {
		return s, err
	}
	s.torrent = archive + ".torrent"
	// What only the producer has left can come from nobody else.
	if err := errors.Join(os.Remove(source), os.Remove(archive)); err != nil {
		return s, err
	}
	if s.addr, err = freePort(ctx); err != nil {
		return s, err
	}
	_, err = b.serve(ctx, "producer serve", s.addr, b.command(ctx, map[string]string{
		"AUTHORITY_KEY_FILE": ch.key, "DHT_SALT": salt, "BUCKET": "file://" + ch.bucket, "DATA_DIR": ch.data, "LISTEN_ADDR": s.addr,
	}, b.program("producer"), "serve"))
	return s, err
}

// measureSwarm compares clients that download one file from one seed.
func measureSwarm(ctx context.Context, b *bench, dir string) (section, error) {
	s, err := b.startSeed(ctx, dir, b.size(swarmSize))
	if s != nil {
		defer s.close()
	}
	if err != nil {
		return section{}, err
	}
	tracker, stop, err := serveHTTP(ctx, onePeerTracker(s.addr))
	if err != nil {
		return section{}, err
	}
	defer stop()
	results, err := b.compare(ctx, 2*b.rounds-1, []contestant{
		{name: "mirror --once", writes: s.size, run: func(ctx context.Context, dir string) (usage, error) { return b.mirrorOnce(ctx, s, dir) }},
		{name: "libtorrent", writes: s.size, missing: unlessLibtorrent(ctx), run: func(ctx context.Context, dir string) (usage, error) { return b.leech(ctx, s, dir) }},
		{name: "aria2c", writes: s.size, missing: unlessInstalled("aria2c"), run: func(ctx context.Context, dir string) (usage, error) {
			u, err := b.measure(b.aria2(ctx, s, dir, tracker))
			return u, errors.Join(err, checkData(filepath.Join(dir, swarmFile), s.sha256))
		}},
	})
	if err != nil {
		return section{}, err
	}
	ours, libtorrent := results[0], results[1]
	transfer := bar{what: "the transfer alone, of libtorrent's", measured: "not measured"}
	if len(libtorrent.runs) > 0 {
		transfer.measured = fmt.Sprintf("%.2f x", ours.ratio(libtorrent, detail("transfer")))
	}
	return section{
		title: fmt.Sprintf("swarm: %d MiB from one seed", s.size>>20),
		notes: []string{
			"The seed is `producer serve`; nobody else has the data. Wall time is that of the process. The transfer is what mirror (until all pieces",
			"are verified and on disk) and libtorrent (until all pieces are verified) say it took; mirror then syncs and checks the signed SHA-256 of",
			"the whole file, which the others do not; the rest is finding the pointer and leaving the swarm. libtorrent needs about 0.6 s before its first byte, whatever the size. The",
			"seed's CPU time is not in that of the client.",
		},
		table: tabulate(results, standard(s.size, figure("seed CPU s", "%.2f", serverSeconds), times(libtorrent), sometimes("transfer s", "transfer"), sometimes("SHA-256 s", "verify"), sometimes("rest s", "rest"))),
		bars:  []bar{timesAtMost("wall time of mirror --once, of libtorrent", ours, libtorrent, swarmTimes), transfer},
	}, nil
}

// unlessLibtorrent is what is missing for libtorrent's Python binding, empty if it is there.
func unlessLibtorrent(ctx context.Context) string {
	if libtorrentVersion(ctx) == "" {
		return "python3-libtorrent"
	}
	return ""
}

func libtorrentVersion(ctx context.Context) string {
	return firstLine(ctx, python, "-c", "import libtorrent; print('libtorrent', libtorrent.version)")
}

// sometimes is a column of seconds that only some programs report.
func sometimes(head, name string) column {
	return column{head, func(r result) string {
		if v := r.median(detail(name)); v > 0 {
			return fmt.Sprintf("%.2f", v)
		}
		return ""
	}}
}

// mirrorOnce downloads with our program: the pointer and the torrent come from the bucket, the data from the seed.
func (b *bench) mirrorOnce(ctx context.Context, s *seed, dir string) (usage, error) {
	u, err := b.measure(b.command(ctx, map[string]string{
		"CHANNEL": s.link, "BUCKET_URL": s.url, "SEED_PEERS": s.addr, "ORIGIN_POLICY": "never", "DATA_DIR": dir, "LISTEN_ADDR": "127.0.0.1:0",
	}, b.program("mirror"), "--once"))
	if err != nil {
		return u, err
	}
	rest := u.wall
	for step, name := range map[string]string{"get " + salt: "transfer", "verify " + salt: "verify"} {
		d, err := stepTook(u.stderr, step)
		if err != nil {
			return u, err
		}
		u = u.with(name, d.Seconds())
		rest -= d
	}
	u = u.with("rest", rest.Seconds())
	return u, checkData(strings.TrimSpace(string(u.stdout)), s.sha256)
}

// stepTook finds out of a log in JSON how long a step took.
func stepTook(log []byte, step string) (time.Duration, error) {
	lines := bufio.NewScanner(bytes.NewReader(log))
	for lines.Scan() {
		var record struct {
			Msg, Step string
			Took      time.Duration
		}
		if json.Unmarshal(lines.Bytes(), &record) == nil && record.Msg == "step done" && record.Step == step {
			return record.Took, nil
		}
	}
	return 0, fmt.Errorf("the log tells nothing of %q: %s", step, tail(string(log)))
}

func (b *bench) leech(ctx context.Context, s *seed, dir string) (usage, error) {
	host, port, err := net.SplitHostPort(s.addr)
	if err != nil {
		return usage{}, err
	}
	u, err := b.measure(b.command(ctx, nil, python, "-c", leechScript, s.torrent, dir, host, port))
	if err != nil {
		return u, err
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(u.stdout)), 64)
	if err != nil {
		return u, err
	}
	return u.with("transfer", seconds), checkData(filepath.Join(dir, swarmFile), s.sha256)
}

func (b *bench) aria2(ctx context.Context, s *seed, dir, tracker string) *exec.Cmd {
	return b.command(ctx, nil, "aria2c", "--no-conf", "--quiet", "--dir="+dir, "--seed-time=0", "--bt-tracker="+tracker+"/announce",
		"--enable-dht=false", "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--interface=127.0.0.1",
		"--file-allocation=none", s.torrent)
}
