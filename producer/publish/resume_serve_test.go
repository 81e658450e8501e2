package publish_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"snapswarm/common/snapshot"
	"snapswarm/producer/publish"
)

// watchAfter begins with a publication that is interrupted after packing, as version v, and with a change of the source.
func watchAfter(v *snapshot.Version, change func(*bench)) func(context.Context, *bench, *publish.Publisher) error {
	return func(ctx context.Context, b *bench, p *publish.Publisher) error {
		broken, _ := b.cfg.Store.(*brokenStore)
		src, err := publish.OpenSource(ctx, b.source)
		b.ok(err)
		if _, err := p.Publish(ctx, publish.Request{Source: src}); !errors.Is(err, errBroken) {
			b.t.Errorf("publish = %v, want %v", err, errBroken)
		}
		*v = b.unfinished()
		broken.mend()
		change(b)
		return watch(publish.Schedule{})(ctx, b, p)
	}
}

func breakTorrents(b *bench) { b.cfg.Store = b.breakOn("put torrents/") }

func TestWatchFinishesFirst(t *testing.T) {
	var v snapshot.Version
	inBubbleWith(t, breakTorrents, watchAfter(&v, func(*bench) {}), func(b *bench) {
		time.Sleep(time.Minute)
		b.wantVersions(1, "at start")
		if tor := b.check(); tor == nil || tor.Description.Version != v {
			t.Errorf("the pointer does not name %s, which was begun", v)
		}
		time.Sleep(3 * time.Hour)
		b.wantVersions(1, "three hours without a change")
	})
}

func TestWatchFinishesFirstAndThenFollowsTheSource(t *testing.T) {
	var v snapshot.Version
	change := func(b *bench) { b.write("more", []byte("more")) }
	inBubbleWith(t, breakTorrents, watchAfter(&v, change), func(b *bench) {
		time.Sleep(time.Minute)
		b.wantVersions(2, "soon after the start")
		if second := b.check(); second == nil || second.Description.Version <= v {
			t.Errorf("the newest is not one after %s", v)
		}
	})
}

// TestWatchGoesOnAfterAFailure: the bucket is away when the archive is packed, and back at the next try.
func TestWatchGoesOnAfterAFailure(t *testing.T) {
	var broken *brokenStore
	prepare := func(b *bench) {
		breakTorrents(b)
		broken, _ = b.cfg.Store.(*brokenStore)
	}
	inBubbleWith(t, prepare, watch(publish.Schedule{}), func(b *bench) {
		time.Sleep(time.Second)
		v := b.unfinished()
		if v == "" {
			t.Fatal("nothing is kept for the next try")
		}
		broken.mend()
		time.Sleep(2 * time.Minute)
		b.wantVersions(1, "after the next try")
		if tor := b.check(); tor == nil || tor.Description.Version != v {
			t.Errorf("the pointer does not name %s, which was begun", v)
		}
	})
}

// TestWithoutASourceOnlyWhatWasBegunIsFinished: at the first look, or at a later one when the bucket is away until then.
func TestWithoutASourceOnlyWhatWasBegunIsFinished(t *testing.T) {
	var v snapshot.Version
	var broken *brokenStore
	life := func(ctx context.Context, b *bench, p *publish.Publisher) error {
		broken, _ = b.cfg.Store.(*brokenStore)
		src, err := publish.OpenSource(ctx, b.source)
		b.ok(err)
		if _, err := p.Publish(ctx, publish.Request{Source: src}); !errors.Is(err, errBroken) {
			b.t.Errorf("publish = %v, want %v", err, errBroken)
		}
		v = b.unfinished()
		b.write("more", []byte("more")) // which nobody watches
		return p.Watch(ctx, publish.Schedule{Poll: 10 * time.Minute})
	}
	inBubbleWith(t, breakTorrents, life, func(b *bench) {
		time.Sleep(time.Second)
		if _, _, ok := b.pointer(); ok {
			t.Error("there is a pointer while the bucket is away")
		}
		broken.mend()
		time.Sleep(2 * time.Minute)
		b.wantVersions(1, "after the next try")
		if tor := b.check(); tor == nil || v == "" || tor.Description.Version != v {
			t.Errorf("the pointer does not name %q, which was begun", v)
		}
		time.Sleep(3 * time.Hour)
		b.wantVersions(1, "three hours later")
	})
}
