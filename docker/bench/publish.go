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
	if _, err := writeData(ctx, source, size, mixed()); err != nil {
		return section{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return section{}, err
	}
	results, err := b.compare(ctx, b.rounds, []contestant{
		{name: "encoding alone", run: func(ctx context.Context, _ string) (usage, error) {
			u, err := b.measure(b.command(ctx, nil, self, encodeAlone, source))
			if err != nil {
				return u, err
			}
			n, err := strconv.ParseFloat(strings.TrimSpace(string(u.stdout)), 64)
			return u.with("output", n), err
		}},
		{name: "producer publish", run: func(ctx context.Context, dir string) (usage, error) { return b.publishOnce(ctx, dir, source) }},
		b.zstd("-3", source),
		b.zstd("-7", source),
	})
	if err != nil {
		return section{}, err
	}
	if err := sameWork(results[0], results[1]); err != nil {
		return section{}, err
	}
	return section{
		title: fmt.Sprintf("publish: %d MiB into file:///, default level", size>>20),
		notes: []string{
			"`producer publish` reads, compresses, hashes (SHA-256 of both sides, SHA-1 of the pieces), writes, syncs, stores, reads back through",
			"HTTP and signs. *Encoding alone* is the same encoder over the same file on all cores, without any hash or output. zstd writes, but",
			"does not sync. A third of the data does not compress, a third is records of which half is the same, a third is text of 16 letters.",
		},
		table: tabulate(results, standard(size, times(results[0]), figure("output MB", "%.0f", func(u usage) float64 { return u.detail["output"] / 1e6 }))),
		bars: []bar{
			timesAtMost("wall time of publish, of encoding alone", results[1], results[0], publishTimes),
			memoryAtMost("peak memory of publish", results[1], publishMemory),
		},
	}, nil
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
func (b *bench) zstd(level, source string) contestant {
	return contestant{name: "zstd -T0 " + level, missing: unlessInstalled("zstd"), run: func(ctx context.Context, dir string) (usage, error) {
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
			fmt.Sprintf("its frames have %.0f bytes, the archive %.0f; look at encodeChunks", frames, archive))
	}
	return nil
}
