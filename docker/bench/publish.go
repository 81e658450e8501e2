package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	publishSize   = 2 << 30
	publishTimes  = 1.15 // of encoding alone
	publishMemory = 512  // MiB
)

// measurePublish compares the whole way of a snapshot into a bucket with its compression alone.
func measurePublish(ctx context.Context, b *bench, dir string) (section, error) {
	source, size := filepath.Join(dir, "ledger.ldb"), b.size(publishSize)
	b.logf("writing %d MiB of test data", size>>20)
	if _, err := writeData(ctx, source, size, ledger()); err != nil {
		return section{}, err
	}
	results, err := b.compare(ctx, b.rounds, []contestant{
		b.encode("encoding alone", encodeAlone, source),
		b.encode("encoding and hashes", encodeHash, source),
		{name: "producer publish", writes: size, run: func(ctx context.Context, dir string) (usage, error) { return b.publishOnce(ctx, dir, source) }},
		b.zstd("-3", source, size),
		b.zstd("-7", source, size),
	})
	if err != nil {
		return section{}, err
	}
	alone, hashes, whole := results[0], results[1], results[2]
	if err := sameWork(alone, whole); err != nil {
		return section{}, err
	}
	return section{
		title: fmt.Sprintf("publish: %d MiB into file:///, default level", size>>20),
		notes: []string{
			"`producer publish` reads, compresses, hashes (SHA-256 of both sides, SHA-1 of the pieces), writes, syncs, stores, reads back through",
			"HTTP and signs. *Encoding alone* is the same encoder over the same file on all cores, without any hash or output; *encoding and hashes*",
			"adds the three hashes that every snapshot has: no pipeline can do without. zstd writes, but does not sync. The data is like the table of",
			"blocks of a Nano ledger in LMDB.",
		},
		table: tabulate(results, standard(size, times(alone), figure("output MB", "%.0f", func(u usage) float64 { return u.detail["output"] / 1e6 }))),
		bars: []bar{
			timesAtMost("wall time of publish, of encoding alone", whole, alone, publishTimes),
			beside("wall time of publish, of encoding and hashes", whole, hashes, wallSeconds),
			beside("CPU time of publish, of encoding alone", whole, alone, cpuSeconds),
			beside("CPU time of publish, of encoding and hashes", whole, hashes, cpuSeconds),
			memoryAtMost("peak memory of publish", whole, publishMemory),
		},
	}, nil
}

// encode is this program as a child.
func (b *bench) encode(name, job, source string) contestant {
	return contestant{name: name, run: func(ctx context.Context, _ string) (usage, error) {
		self, err := os.Executable()
		if err != nil {
			return usage{}, err
		}
		u, err := b.measure(b.command(ctx, nil, self, job, source))
		if err != nil {
			return u, err
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(string(u.stdout)), 64)
		return u.with("output", n), err
	}}
}

func (b *bench) publishOnce(ctx context.Context, dir, source string) (u usage, err error) {
	ch, err := b.newChannel(ctx, dir)
	if err != nil {
		return usage{}, err
	}
	defer ch.close()
	if u, err = b.measure(b.publish(ctx, ch, source, ch.url, "better")); err != nil {
		return u, err
	}
	path, err := ch.file("*.zst")
	if err != nil {
		return u, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return u, err
	}
	return u.with("output", float64(info.Size())), nil
}

// zstd is the program, at a level.
func (b *bench) zstd(level, source string, size int64) contestant {
	return contestant{name: "zstd -T0 " + level, writes: size, missing: unlessInstalled("zstd"), run: func(ctx context.Context, dir string) (usage, error) {
		out := filepath.Join(dir, "out.zst")
		u, err := b.measure(b.command(ctx, nil, "zstd", "-q", "-T0", level, source, "-o", out))
		if err != nil {
			return u, err
		}
		info, err := os.Stat(out)
		if err != nil {
			return u, err
		}
		return u.with("output", float64(info.Size())), nil
	}}
}

// with adds a detail.
func (u usage) with(name string, value float64) usage {
	if u.detail == nil {
		u.detail = map[string]float64{}
	}
	u.detail[name] = value
	return u
}

// sameWork makes sure that the yardstick is what the pipeline does: an archive is the frames and a small table.
func sameWork(alone, whole result) error {
	const table = 0.001
	frames, archive := alone.median(detail("output")), whole.median(detail("output"))
	if archive < frames || archive > frames*(1+table) {
		return errors.New("encoding alone is not what package archive does any more: " +
			fmt.Sprintf("its frames have %.0f bytes, the archive %.0f; look at encode.go", frames, archive))
	}
	return nil
}
