package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"snapswarm/common/pointer"
	"snapswarm/docker/stack"
)

const (
	pointerInterval = 20 * time.Second // POLL_INTERVAL of those that poll
	pointerLate     = 5 * time.Second  // beyond it
	pointerPollers  = 4                // of each kind
	pointerRounds   = 2                // publications in each of the rounds
)

// measurePointer measures how long it takes from the signing of a pointer until those that poll know it.
func measurePointer(ctx context.Context, b *bench, dir string) (section, error) {
	interval := max(2*time.Second, time.Duration(float64(pointerInterval)*b.scale)).Round(time.Second)
	withBucket, err := b.startPollers(ctx, filepath.Join(dir, "bucket"), interval, false)
	if err != nil {
		return section{}, err
	}
	defer withBucket.close(b)
	rows, err := withBucket.measure(ctx, b)
	if err != nil {
		return section{}, err
	}
	withBucket.close(b) // there is one S3 server at a time
	dhtAlone, err := b.startPollers(ctx, filepath.Join(dir, "dht"), interval, true)
	if err != nil {
		return section{}, err
	}
	defer dhtAlone.close(b)
	more, err := dhtAlone.measure(ctx, b)
	return pointerSection(interval, append(rows, more...)), err
}

// pointerSection shows the delays of each kind of poller.
func pointerSection(interval time.Duration, rows []delays) section {
	s := section{
		title: fmt.Sprintf("pointer: from its signature until it is known at POLL_INTERVAL=%s", interval),
		notes: []string{
			"`producer serve` publishes at random moments; the time begins with the pointer's sequence number, which is when it was signed, and ends when",
			"a mirror logs it, or a gateway serves it. DHT alone: neither BUCKET_URL nor an address in the pointer. The DHT is a private one on",
			"127.0.0.1, where lookups take no time; in the public one a lookup takes some seconds. The poll interval is an upper bound: it is spread",
			"downwards.",
		},
		table: table{head: []string{"who polls", "pointers known", "median s", "most s", "of the interval", "beyond it s"}},
	}
	for _, d := range rows {
		most := slices.Max(append(slices.Clone(d.seconds), 0))
		beyond := max(0, most-interval.Seconds())
		s.table.rows = append(s.table.rows, []string{
			d.name, fmt.Sprint(len(d.seconds)), fmt.Sprintf("%.1f", median(d.seconds)), fmt.Sprintf("%.1f", most),
			fmt.Sprintf("%.0f %%", 100*most/interval.Seconds()), fmt.Sprintf("%.2f", beyond),
		})
		limit := (interval + pointerLate).Seconds()
		s.bars = append(s.bars, bar{
			what: "time until a pointer is known, " + d.name, measured: fmt.Sprintf("%.1f s", most), limit: fmt.Sprintf("≤ %.0f s", limit),
			met: len(d.seconds) > 0 && most <= limit,
		})
	}
	return s
}

// delays are how long pollers of one kind took, in seconds.
type delays struct {
	name    string
	seconds []float64
}

// pollers are a producer and those that wait for its pointers.
type pollers struct {
	*stack.Stack

	dhtAlone bool
	interval time.Duration
	source   string
	producer *stack.Process
	mirrors  []*stack.Process
	gateway  string // URL of its pointer, empty if there is none
	closed   bool
}

// startPollers publishes for the first time, and starts who polls; all of them know that pointer when it returns.
func (b *bench) startPollers(ctx context.Context, dir string, interval time.Duration, dhtAlone bool) (p *pollers, err error) {
	s, err := stack.Start(ctx, stack.Config{Dir: dir, Bin: b.bin, Salt: salt, Env: stack.Env{"LOG_FORMAT": "json"}})
	if err != nil {
		return nil, err
	}
	p = &pollers{Stack: s, dhtAlone: dhtAlone, interval: interval, source: filepath.Join(dir, "source")}
	defer func() {
		if err != nil {
			p.close(b)
		}
	}()
	producer, follower := stack.Env{"POLL_INTERVAL": "100ms"}, stack.Env{"POLL_INTERVAL": interval.String()}
	if dhtAlone {
		store := filepath.Join(dir, "store")
		if err := os.MkdirAll(store, 0o755); err != nil {
			return nil, err
		}
		producer["BUCKET"], producer["PUBLIC_URL"] = "file://"+store, ""
		follower["BUCKET_URL"] = ""
	}
	if err := os.WriteFile(p.source, []byte("0"), 0o600); err != nil {
		return nil, err
	}
	if p.producer, err = s.Producer(ctx, "producer", p.source, producer); err != nil {
		return nil, err
	}
	if err := p.producer.Ready(ctx); err != nil {
		return nil, err
	}
	err = p.start(ctx, follower)
	return p, err
}

// start starts mirrors, and a gateway where there is a bucket.
func (p *pollers) start(ctx context.Context, env stack.Env) error {
	for i := range pointerPollers {
		m, err := p.Mirror(ctx, fmt.Sprintf("mirror%d", i), env)
		if err != nil {
			return err
		}
		p.mirrors = append(p.mirrors, m)
	}
	addr, err := stack.FreeAddr(ctx)
	if err != nil {
		return err
	}
	gateway, err := p.Gateway(ctx, "gateway", addr, env)
	if err != nil {
		return err
	}
	p.gateway = "http://" + addr + "/" + salt + "/pointer"
	for _, process := range append(slices.Clone(p.mirrors), gateway) {
		if err := process.Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (p *pollers) close(b *bench) {
	if p.closed {
		return
	}
	p.closed = true
	if err := p.Close(); err != nil {
		b.logf("end the swarm: %v", err)
	}
}

// measure publishes at random moments until the rounds are over.
func (p *pollers) measure(ctx context.Context, b *bench) ([]delays, error) {
	from := "bucket and DHT"
	if p.dhtAlone {
		from = "DHT alone"
	}
	mirrors, gateways := delays{name: "mirrors, " + from}, delays{name: "gateway, " + from}
	for n := range pointerRounds * b.rounds {
		if err := pause(ctx, rand.N(p.interval)); err != nil { // the phase
			return nil, err
		}
		known, gateway, err := p.publish(ctx, n+1)
		if err != nil {
			return nil, err
		}
		mirrors.seconds = append(mirrors.seconds, known...)
		gateways.seconds = append(gateways.seconds, gateway)
		b.logf("pointer %d of %d  %s: mirrors %.1f s, gateway %.1f s", n+1, pointerRounds*b.rounds, from, known, gateway)
	}
	return []delays{mirrors, gateways}, nil
}

// publish changes the source and returns how long each mirror, and the gateway, took to know the pointer to what came of it.
func (p *pollers) publish(ctx context.Context, number int) (mirrors []float64, gateway float64, err error) {
	before, err := p.newestSeen(ctx)
	if err != nil {
		return nil, 0, err
	}
	if err := p.change(number); err != nil {
		return nil, 0, err
	}
	seqs := make([]int64, 0, len(p.mirrors))
	patience := 4*p.interval + time.Minute // far more than the limit: what takes too long is measured all the same
	for deadline := time.Now().Add(patience); len(mirrors) < len(p.mirrors) || gateway == 0; {
		if time.Now().After(deadline) {
			return nil, 0, fmt.Errorf("%d of %d mirrors know of publication %d after %v: %s", len(mirrors), len(p.mirrors), number, patience, p.producer.Tail())
		}
		if gateway == 0 {
			if rec, err := fetchPointer(ctx, p.gateway); err == nil && rec.Seq > before {
				gateway = time.Since(rec.Time()).Seconds()
			}
		}
		if mirrors, seqs, err = p.known(before); err != nil {
			return nil, 0, err
		}
		if err := pause(ctx, 25*time.Millisecond); err != nil {
			return nil, 0, err
		}
	}
	if slices.Min(seqs) != slices.Max(seqs) {
		return nil, 0, fmt.Errorf("one change of the source gave pointers %v", seqs)
	}
	return mirrors, gateway, nil
}

// change replaces the source at once, so that no half of it is published.
func (p *pollers) change(number int) error {
	next := p.source + ".next"
	if err := os.WriteFile(next, fmt.Append(nil, number), 0o600); err != nil {
		return err
	}
	return os.Rename(next, p.source)
}

// known is how long those mirrors took that know a pointer later than before, and which.
func (p *pollers) known(before int64) (seconds []float64, seqs []int64, err error) {
	for _, m := range p.mirrors {
		log, err := os.ReadFile(m.LogFile)
		if err != nil {
			return nil, nil, err
		}
		if at, seq, ok := foundAfter(string(log), before); ok {
			seconds, seqs = append(seconds, at.Sub(time.UnixMilli(seq)).Seconds()), append(seqs, seq)
		}
	}
	return seconds, seqs, nil
}

// newestSeen is the sequence number of the newest pointer, which everybody knows.
func (p *pollers) newestSeen(ctx context.Context) (int64, error) {
	rec, err := fetchPointer(ctx, p.gateway)
	return rec.Seq, err
}

// foundAfter reads in a mirror's log when it found the first pointer later than before.
func foundAfter(log string, before int64) (at time.Time, seq int64, ok bool) {
	lines := bufio.NewScanner(strings.NewReader(log))
	for lines.Scan() {
		var record struct {
			Time time.Time
			Msg  string
			Seq  int64
		}
		if json.Unmarshal(lines.Bytes(), &record) == nil && record.Msg == "pointer found" && record.Seq > before {
			return record.Time, record.Seq, true
		}
	}
	return time.Time{}, 0, false
}

// fetchPointer reads a pointer from a gateway.
func fetchPointer(ctx context.Context, url string) (pointer.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return pointer.Record{}, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return pointer.Record{}, err
	}
	defer answer.Body.Close()
	const enough = 4 << 10
	body, err := io.ReadAll(io.LimitReader(answer.Body, enough))
	if err != nil || answer.StatusCode != http.StatusOK {
		return pointer.Record{}, errors.Join(err, fmt.Errorf("%s: %s", url, answer.Status))
	}
	return pointer.ParseRecord(body)
}
