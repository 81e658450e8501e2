package publish_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"snapswarm/producer/publish"
)

// publishAt publishes the source with a block height.
func (b *bench) publishAt(height uint64, force bool) (publish.Report, error) {
	b.t.Helper()
	src, err := publish.OpenSource(b.t.Context(), b.source)
	if err != nil {
		b.t.Fatal(err)
	}
	p := b.open()
	defer func() {
		b.clock.add(time.Second)
		if err := p.Close(); err != nil {
			b.t.Error(err)
		}
	}()
	return p.Publish(b.t.Context(), publish.Request{Source: src, Height: height, Force: force})
}

func TestTheHeightDoesNotGoBack(t *testing.T) {
	b := newBench(t)
	var log strings.Builder
	b.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	for _, step := range []struct {
		about  string
		height uint64
		force  bool
		want   error
		say    string
	}{
		{"the first one", 1000, false, nil, ""},
		{"a higher one", 1200, false, nil, ""},
		{"the same again", 1200, false, nil, "has the block height of the newest one"},
		{"a lower one", 1199, false, publish.ErrHeight, ""},
		{"a lower one with force", 1100, true, nil, "the block height goes back"},
		{"one between the two, after that", 1150, false, nil, ""},
		{"one that no pointer can hold", math.MaxUint64, true, publish.ErrHeight, ""},
		{"none", 0, false, nil, "this one has none"},
		{"any, when the newest has none", 5, false, nil, ""},
	} {
		log.Reset()
		before, _, _ := b.pointer()
		packed := len(files(t, b.cfg.DataDir))
		rep, err := b.publishAt(step.height, step.force)
		if !errors.Is(err, step.want) {
			t.Fatalf("%s: publish = %v, want %v", step.about, err, step.want)
		}
		after, p, _ := b.pointer()
		switch {
		case err != nil && (after.Seq != before.Seq || len(files(t, b.cfg.DataDir)) != packed):
			t.Errorf("%s: something was published, or left on disk", step.about)
		case err == nil && (p.Height != step.height || rep.Version.Height() != step.height):
			t.Errorf("%s: the pointer has height %d, the version is %s, want %d", step.about, p.Height, rep.Version, step.height)
		case step.say == "" && strings.Contains(log.String(), "height"), !strings.Contains(log.String(), step.say):
			t.Errorf("%s: the log should say %q:\n%s", step.about, step.say, log.String())
		}
	}
}

func TestTheCommandTellsTheHeight(t *testing.T) {
	s := publish.Schedule{Every: time.Hour, Command: `cat "$SNAPSHOT_SOURCE/../says"; date +%N > "$SNAPSHOT_SOURCE/now"`}
	var p *publish.Publisher
	prepare := func(b *bench) { b.says("copied 3 pages\nHEIGHT=7\nHEIGHT=41\ndone\n") }
	life := func(ctx context.Context, b *bench, publisher *publish.Publisher) error {
		p = publisher
		return watch(s)(ctx, b, publisher)
	}
	inBubbleWith(t, prepare, life, func(b *bench) {
		time.Sleep(time.Second)
		synctest.Wait()
		if _, ptr, _ := b.pointer(); ptr.Height != 41 {
			t.Errorf("the first one has height %d, want 41", ptr.Height)
		}
		for _, row := range []struct {
			says      string
			published bool
			height    uint64 // of the pointer then
			want      error
		}{
			{"HEIGHT=40\n", false, 41, publish.ErrHeight},
			{"HEIGHT=many\n", false, 41, publish.ErrCommand},
			{"HEIGHT=42", true, 42, nil},
			{"nothing\n", true, 0, nil},
		} {
			before, _, _ := b.pointer()
			b.says(row.says)
			time.Sleep(2 * time.Hour) // also after a failure
			synctest.Wait()
			after, ptr, _ := b.pointer()
			_, err := p.WatchHealth()
			if ptr.Height != row.height || (after.Seq > before.Seq) != row.published || !errors.Is(err, row.want) {
				t.Errorf("%q: height %d, published %v, health %v; want %d, %v, %v",
					row.says, ptr.Height, after.Seq > before.Seq, err, row.height, row.published, row.want)
			}
		}
	})
}

// says is what the command will print.
func (b *bench) says(text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(filepath.Dir(b.source), "says"), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}
