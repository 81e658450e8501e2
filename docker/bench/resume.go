package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"snapswarm/docker/stack"
)

const (
	resumeSize   = 960 << 20
	resumeKillAt = 0.9  // of the archive has been sent
	resumeAgain  = 0.15 // of it may be sent by the second run
	resumeRate   = 96 << 20
)

// measureResume kills a producer when most of an archive is uploaded, runs it again and counts what it sends.
func measureResume(ctx context.Context, b *bench, dir string) (section, error) {
	size := max(b.size(resumeSize), 80<<20) // several parts of an upload
	source := filepath.Join(dir, "source")
	b.logf("writing %d MiB of test data", size>>20)
	if _, err := writeData(ctx, source, size, noise()); err != nil {
		return section{}, err
	}
	s := section{
		title: fmt.Sprintf("resume: %d MiB to an S3 server, killed at %.0f %%", size>>20, 100*resumeKillAt),
		notes: []string{
			"The S3 server is versitygw's, behind a relay that counts what is sent to it and passes on 96 MiB/s. `producer publish` is killed when 90 %",
			"of the archive has gone through, and run again. A tenth is missing then, and the parts that were on their way, four at most of 16 MiB",
			"each (or a ten thousandth of the archive), are sent again. Of data that is not compressed the archive is a copy.",
		},
		table: table{head: []string{"round", "killed after", "sent again", "version kept", "second run s"}},
	}
	var again []float64
	for round := range b.rounds {
		r, err := b.resumeOnce(ctx, filepath.Join(dir, fmt.Sprint(round)), source, size)
		if err != nil {
			return section{}, err
		}
		part := float64(r.second) / float64(size)
		again = append(again, part)
		s.table.rows = append(s.table.rows, []string{
			fmt.Sprint(round + 1), fmt.Sprintf("%.1f %%", 100*float64(r.first)/float64(size)), fmt.Sprintf("%.1f %%", 100*part),
			yesNo(r.kept), fmt.Sprintf("%.1f", r.took.Seconds()),
		})
		b.logf("round %d of %d  %s again", round+1, b.rounds, s.table.rows[round][2])
	}
	s.bars = []bar{{
		what: "sent again after a kill at 90 %", measured: fmt.Sprintf("%.1f %%", 100*largest(again)),
		limit: fmt.Sprintf("≤ %.0f %%", 100*resumeAgain), met: largest(again) <= resumeAgain,
	}}
	return s, nil
}

// resumed is what one round came to.
type resumed struct {
	first, second int64 // bytes sent by the two runs
	kept          bool  // the version of the first came out
	took          time.Duration
}

// resumeOnce publishes on a new stack in dir, which is removed.
func (b *bench) resumeOnce(ctx context.Context, dir, source string, size int64) (r resumed, err error) {
	s, err := stack.Start(ctx, stack.Config{Dir: dir, Bin: b.bin, Salt: salt})
	if err != nil {
		return r, err
	}
	defer func() {
		if e := s.Close(); e != nil {
			b.logf("end the S3 server: %v", e)
		}
		_ = os.RemoveAll(dir) // all is removed at the end
	}()
	relay, err := startRelay(ctx, s.S3.Endpoint, resumeRate)
	if err != nil {
		return r, err
	}
	defer relay.close()
	env := stack.Env{"S3_ENDPOINT": relay.url(), "COMPRESSION": "none", "LOG_FORMAT": "json"}
	first, err := s.Publish(ctx, "producer", source, env)
	if err != nil {
		return r, err
	}
	enough := func(context.Context) bool { return float64(relay.sent.Load()) >= resumeKillAt*float64(size) }
	if err := first.Until(ctx, "most of the way", enough); err != nil {
		return r, err
	}
	if err := first.Kill(); err != nil {
		return r, err
	}
	if err := relay.drain(ctx); err != nil {
		return r, err
	}
	r.first = relay.sent.Swap(0)
	version := firstVersion(first)
	began := time.Now()
	second, err := s.Publish(ctx, "producer", source, env)
	if err != nil {
		return r, err
	}
	if err := second.Wait(ctx); err != nil {
		return r, err
	}
	r.took, r.second = time.Since(began), relay.sent.Load()
	pub, err := s.Newest(ctx)
	r.kept = err == nil && string(pub.Version()) == version
	return r, err
}

// firstVersion is the version that a producer had on its disk when it was killed.
func firstVersion(p *stack.Process) string {
	folders, err := filepath.Glob(filepath.Join(p.DataDir, salt, "2*"))
	if err != nil || len(folders) != 1 {
		return ""
	}
	return filepath.Base(folders[0])
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
