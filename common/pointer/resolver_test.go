package pointer_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// source is a Source that answers after a delay.
type source struct {
	name    string
	delay   time.Duration
	records []pointer.Record
	err     error
	partial []pointer.Record // what it has when it is told to stop
	deaf    bool             // does not listen to that
}

func (s *source) Name() string { return s.name }

func (s *source) Lookup(ctx context.Context, _ snapshot.Channel) ([]pointer.Record, error) {
	if s.deaf {
		ctx = context.Background()
	}
	select {
	case <-time.After(s.delay):
		return s.records, s.err
	case <-ctx.Done():
		if s.partial != nil {
			return s.partial, nil
		}
		return nil, ctx.Err()
	}
}

type bench struct {
	*pointer.Resolver
	log   *bytes.Buffer
	level *slog.LevelVar // info
}

// newBench makes a resolver with the default times over sources; call it inside a synctest bubble.
func newBench(t *testing.T, ratchet *pointer.Ratchet, sources ...pointer.Source) bench {
	log, level := new(bytes.Buffer), new(slog.LevelVar)
	resolver := pointer.NewResolver(pointer.ResolverConfig{
		Sources: sources, Ratchet: ratchet, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level})),
		Now: func() time.Time { return testTime },
	})
	t.Cleanup(resolver.Close)
	return bench{resolver, log, level}
}

func TestHighestValidSeqWinsWithinTheGrace(t *testing.T) {
	for _, c := range []struct {
		name     string
		sources  []pointer.Source
		wantSeq  int64
		wantFrom string
		wantTook time.Duration
	}{
		{"all at once", []pointer.Source{
			&source{name: "dht", records: []pointer.Record{sign(t, 4, 1), sign(t, 6, 2)}},
			&source{name: "bucket", records: []pointer.Record{sign(t, 5, 1)}},
		}, 6, "dht", 0},
		{"a slow one has a newer record", []pointer.Source{
			&source{name: "dht", delay: time.Second, records: []pointer.Record{sign(t, 6, 2)}},
			&source{name: "bucket", records: []pointer.Record{sign(t, 5, 1)}},
		}, 6, "dht", time.Second},
		{"a dead one costs the window only", []pointer.Source{
			&source{name: "dht", delay: time.Hour},
			&source{name: "bucket", delay: time.Second, records: []pointer.Record{sign(t, 5, 1)}},
		}, 5, "bucket", pointer.DefaultWindow},
		{"a dead one beside a slow one costs the grace only", []pointer.Source{
			&source{name: "dht", delay: time.Hour},
			&source{name: "bucket", delay: 3 * time.Second, records: []pointer.Record{sign(t, 5, 1)}},
		}, 5, "bucket", 3*time.Second + pointer.DefaultGrace},
		{"one that hangs whatever it is told is left behind", []pointer.Source{
			&source{name: "hung", delay: time.Hour, deaf: true},
			&source{name: "bucket", records: []pointer.Record{sign(t, 5, 1)}},
		}, 5, "bucket", pointer.DefaultWindow + pointer.LastWords},
		{"what a slow one has found when its time is up counts", []pointer.Source{
			&source{name: "dht", delay: time.Hour, partial: []pointer.Record{sign(t, 7, 1)}},
			&source{name: "bucket", records: []pointer.Record{sign(t, 5, 1)}},
		}, 7, "dht", pointer.DefaultWindow},
		{"an empty answer starts no grace", []pointer.Source{
			&source{name: "dht"},
			&source{name: "broken", err: errors.New("no route")},
			&source{name: "bucket", delay: 10 * time.Second, records: []pointer.Record{sign(t, 5, 1)}},
		}, 5, "bucket", 10 * time.Second},
		{"a forged newer record neither wins nor starts the grace", []pointer.Source{
			&source{name: "liar", records: []pointer.Record{forged(t, 9)}},
			&source{name: "bucket", delay: 10 * time.Second, records: []pointer.Record{sign(t, 5, 1)}},
		}, 5, "bucket", 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				res, err := newBench(t, openRatchet(t, t.TempDir()), c.sources...).Resolve(t.Context(), testChannel())
				if err != nil || res.Record.Seq != c.wantSeq || res.Source != c.wantFrom || !res.Changed {
					t.Errorf("Resolve = seq %d from %q, changed %v, %v, want %d from %q", res.Record.Seq, res.Source, res.Changed, err, c.wantSeq, c.wantFrom)
				}
				if took := time.Since(began); took != c.wantTook {
					t.Errorf("took %v, want %v", took, c.wantTook)
				}
				if want, _ := res.Record.Pointer(); res.Pointer.InfoHash != want.InfoHash || want.InfoHash.IsZero() {
					t.Errorf("pointer %v is not the record's", res.Pointer)
				}
			})
		})
	}
}

func TestALateAnswerCountsInTheNextRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &source{name: "slow", delay: 10 * time.Second, records: []pointer.Record{sign(t, 6, 2)}}
		b := newBench(t, openRatchet(t, t.TempDir()), &source{name: "old", records: []pointer.Record{sign(t, 5, 1)}}, slow)
		res, err := b.Resolve(t.Context(), testChannel())
		if err != nil || res.Record.Seq != 5 || !res.Answers[1].Late {
			t.Fatalf("Resolve = seq %d, %v, late %v, want 5 and the slow one late", res.Record.Seq, err, res.Answers[1].Late)
		}
		time.Sleep(slow.delay)
		synctest.Wait()
		slow.delay = time.Hour // not what it says now, but what it found since
		res, err = b.Resolve(t.Context(), testChannel())
		if err != nil || res.Record.Seq != 6 || res.Source != "slow" || !res.Changed {
			t.Errorf("the next Resolve = seq %d from %q, %v, want 6 from slow", res.Record.Seq, res.Source, err)
		}
		b.Close()
	})
}

func TestCloseEndsWhatIsAskedInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil, &source{name: "slow", delay: time.Hour}, &source{name: "bucket", records: []pointer.Record{sign(t, 5, 1)}})
		if _, err := b.Resolve(t.Context(), testChannel()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		b.Close()
		b.Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("Close took %v", took)
		}
	})
}

func forged(t *testing.T, seq int64) pointer.Record {
	rec := sign(t, seq, 1)
	rec.Sig[0] ^= 1
	return rec
}

func TestNothingFoundIsToldApartFromEverythingRefused(t *testing.T) {
	future := sign(t, testTime.Add(time.Hour).UnixMilli(), 1)
	for _, c := range []struct {
		name    string
		sources []pointer.Source
		want    []error
		texts   []string
	}{
		{"no sources", nil, []error{pointer.ErrNotFound}, []string{"daily"}},
		{"none has any", []pointer.Source{
			&source{name: "dht"}, &source{name: "bucket", err: errors.New("host is down")},
		}, []error{pointer.ErrNotFound}, []string{"dht: has none", "bucket: host is down"}},
		{
			"none answers",
			[]pointer.Source{&source{name: "dht", delay: time.Hour}},
			[]error{pointer.ErrNotFound},
			[]string{"dht: context deadline exceeded"},
		},
		{"all refused", []pointer.Source{
			&source{name: "dht", records: []pointer.Record{forged(t, 5)}},
			&source{name: "bucket", records: []pointer.Record{future}},
		}, []error{pointer.ErrAllRefused, pointer.ErrSignature, pointer.ErrFuture}, []string{"dht: wrong signature", "bucket: pointer from the future"}},
		{"1001 bytes", []pointer.Source{
			&source{name: "bucket", records: []pointer.Record{signRaw(5, "996:"+strings.Repeat("x", 997))}},
		}, []error{pointer.ErrAllRefused, pointer.ErrTooLarge}, []string{"has 1001 bytes, at most 1000"}},
		{"no record at all", []pointer.Source{
			&source{name: "dht"}, &source{name: "bucket", err: fmt.Errorf("read: %w", pointer.ErrMalformed)},
		}, []error{pointer.ErrAllRefused, pointer.ErrMalformed}, []string{"bucket: read: malformed pointer"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				res, err := newBench(t, openRatchet(t, t.TempDir()), c.sources...).Resolve(t.Context(), testChannel())
				if res.Known() {
					t.Errorf("Resolve found seq %d", res.Record.Seq)
				}
				for _, want := range c.want {
					if !errors.Is(err, want) {
						t.Errorf("Resolve = %v, want %v", err, want)
					}
				}
				if errors.Is(err, pointer.ErrNotFound) && errors.Is(err, pointer.ErrAllRefused) {
					t.Errorf("Resolve = %v, which is both", err)
				}
				for _, text := range c.texts {
					if err != nil && !strings.Contains(err.Error(), text) {
						t.Errorf("Resolve = %v, want %q in it", err, text)
					}
				}
			})
		})
	}
}

func TestStaleSourcesDoNoHarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ratchet, ch := openRatchet(t, t.TempDir()), testChannel()
		if err := ratchet.Accept(ch, sign(t, 5, 1), testTime); err != nil {
			t.Fatal(err)
		}
		stale, fresh := &source{name: "stale", records: []pointer.Record{sign(t, 4, 9)}}, &source{name: "fresh", delay: 5 * time.Second}
		b := newBench(t, ratchet, stale, fresh)

		fresh.records = []pointer.Record{sign(t, 5, 1)}
		res, err := b.Resolve(t.Context(), ch)
		if err != nil || res.Record.Seq != 5 || res.Source != "fresh" || res.Changed {
			t.Errorf("Resolve = seq %d from %q, changed %v, %v, want the known 5 from fresh", res.Record.Seq, res.Source, res.Changed, err)
		}
		fresh.records = nil
		res, err = b.Resolve(t.Context(), ch)
		if !errors.Is(err, pointer.ErrAllRefused) || !errors.Is(err, pointer.ErrOlder) {
			t.Errorf("with nothing but a stale record: %v, want %v and %v", err, pointer.ErrAllRefused, pointer.ErrOlder)
		}
		if !res.Known() || res.Record.Seq != 5 || res.Source != pointer.Saved {
			t.Errorf("the accepted record is lost: seq %d from %q", res.Record.Seq, res.Source)
		}
		if b.log.Len() > 0 {
			t.Errorf("stale records were logged: %s", b.log)
		}
		stale.records = nil
		res, err = b.Resolve(t.Context(), ch)
		if !errors.Is(err, pointer.ErrNotFound) || res.Record.Seq != 5 {
			t.Errorf("offline: seq %d, %v, want the saved 5 and %v", res.Record.Seq, err, pointer.ErrNotFound)
		}
	})
}

func TestTwoValuesOfOneSeqRaiseAnAlarm(t *testing.T) {
	for _, withRatchet := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var ratchet *pointer.Ratchet
			if withRatchet {
				ratchet = openRatchet(t, t.TempDir())
			}
			one := &source{name: "one", records: []pointer.Record{sign(t, 5, 1)}}
			two := &source{name: "two", delay: time.Second, records: []pointer.Record{sign(t, 5, 2)}}
			b := newBench(t, ratchet, one, two)
			b.level.Set(slog.LevelDebug)
			res, err := b.Resolve(t.Context(), testChannel())
			if err != nil || !res.Record.Equal(sign(t, 5, 1)) {
				t.Errorf("ratchet %v: Resolve = %x, %v, want the first value", withRatchet, res.Record.Value, err)
			}
			if len(res.Refused) != 1 || res.Refused[0].Source != "two" || !errors.Is(res.Refused[0].Err, pointer.ErrConflict) {
				t.Errorf("ratchet %v: refused %v, want a conflict from two", withRatchet, res.Refused)
			}
			checkAlarm(t, b.log.String(), "one", sign(t, 5, 1), sign(t, 5, 2))
			b.log.Reset()
			two.records = []pointer.Record{sign(t, 6, 2)}
			if res, err = b.Resolve(t.Context(), testChannel()); err != nil || res.Record.Seq != 6 || b.log.Len() > 0 {
				t.Errorf("ratchet %v: a higher seq = %d, %v, want 6", withRatchet, res.Record.Seq, err)
			}
		})
	}
}

// checkAlarm wants one line that a person can read, and the evidence at debug level.
func checkAlarm(t *testing.T, log, keptFrom string, kept, refused pointer.Record) {
	t.Helper()
	alarm, evidence, _ := strings.Cut(log, "\n")
	first, second := sha256.Sum256(kept.Value), sha256.Sum256(refused.Value)
	for _, want := range []string{
		"level=ERROR", "source=two", "seq=5", fmt.Sprintf("value %x from %s", first[:4], keptFrom), fmt.Sprintf("value %x,", second[:4]),
	} {
		if !strings.Contains(alarm, want) {
			t.Errorf("the alarm lacks %q: %s", want, alarm)
		}
	}
	if len(alarm) > 450 {
		t.Errorf("the alarm has %d characters: %s", len(alarm), alarm)
	}
	for _, want := range []string{"level=DEBUG", fmt.Sprintf("kept=%x", kept.Value), fmt.Sprintf("refused=%x", refused.Value)} {
		if !strings.Contains(evidence, want) {
			t.Errorf("the evidence lacks %q: %s", want, evidence)
		}
	}
}

func TestAnAlarmTellsOfASavedPointer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ratchet := openRatchet(t, t.TempDir())
		if err := ratchet.Accept(testChannel(), sign(t, 5, 1), testTime); err != nil {
			t.Fatal(err)
		}
		b := newBench(t, ratchet, &source{name: "two", records: []pointer.Record{sign(t, 5, 2)}})
		b.level.Set(slog.LevelDebug)
		if res, err := b.Resolve(t.Context(), testChannel()); !errors.Is(err, pointer.ErrConflict) || res.Source != pointer.Saved {
			t.Errorf("Resolve = %q, %v, want what is saved and %v", res.Source, err, pointer.ErrConflict)
		}
		checkAlarm(t, b.log.String(), pointer.Saved, sign(t, 5, 1), sign(t, 5, 2))
	})
}

func TestRefusalsAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		liar := &source{name: "liar", records: []pointer.Record{forged(t, 9), forged(t, 9)}}
		good := &source{name: "good", records: []pointer.Record{sign(t, 5, 1)}}
		b := newBench(t, openRatchet(t, t.TempDir()), liar, good)
		for range 3 {
			if _, err := b.Resolve(t.Context(), testChannel()); err != nil {
				t.Fatal(err)
			}
		}
		if n := strings.Count(b.log.String(), "pointer refused"); n != 1 {
			t.Errorf("%d lines for one refusal:\n%s", n, b.log)
		}
		if log := b.log.String(); !strings.Contains(log, "source=liar") || !strings.Contains(log, "wrong signature") {
			t.Errorf("log %q does not say who and why", log)
		}
	})
}

func TestAnswersAreReportedPerSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil,
			&source{name: "bucket", delay: time.Second, records: []pointer.Record{sign(t, 5, 1), forged(t, 7)}},
			&source{name: "broken", err: errors.New("no route")},
			&source{name: "slow", delay: time.Hour},
		)
		res, err := b.Resolve(t.Context(), testChannel())
		if err != nil || len(res.Answers) != 3 {
			t.Fatalf("Resolve = %v, %v", res.Answers, err)
		}
		if a := res.Answers[0]; a.Seq != 5 || a.Records != 2 || a.Late || a.Took != time.Second {
			t.Errorf("bucket: %+v", a)
		}
		if a := res.Answers[1]; a.Err == nil || a.Late {
			t.Errorf("broken: %+v", a)
		}
		if a := res.Answers[2]; !a.Late || a.Err != nil {
			t.Errorf("slow: %+v", a)
		}
	})
}

func TestResolveEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := newBench(t, nil, &source{name: "slow", delay: time.Hour}).Resolve(ctx, testChannel())
		if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, pointer.ErrNotFound) {
			t.Errorf("Resolve = %v, want only %v", err, context.DeadlineExceeded)
		}
	})
}
