package publish_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"snapswarm/producer/publish"
)

func TestReadyMeansThatTheBucketHoldsThePointer(t *testing.T) {
	var p *publish.Publisher
	var broken *brokenStore
	wantReady := func(want bool, when string) {
		t.Helper()
		synctest.Wait()
		if detail, err := p.Health(); (err == nil) != want {
			t.Errorf("%s: Health = %q, %v; want ready %v", when, detail, err, want)
		}
	}
	prepare := func(b *bench) {
		broken = &brokenStore{Store: b.store, failOn: "put chain/pointer"}
		b.cfg.Store = broken
	}
	first := func(ctx context.Context, b *bench, opened *publish.Publisher) error {
		p = opened
		return watch(publish.Schedule{})(ctx, b, opened)
	}
	inBubbleWith(t, prepare, first, func(b *bench) {
		time.Sleep(time.Second)
		wantReady(false, "signed, but not stored")
		time.Sleep(2 * time.Minute)
		wantReady(true, "stored")
	})
}

func TestARestartIsReadyWhenTheBucketWasSeen(t *testing.T) {
	var p *publish.Publisher
	var broken *brokenStore
	prepare := func(b *bench) {
		b.cfg.Public = nil
		b.mustPublish()
		b.clock.add(-time.Second)
		broken = &brokenStore{Store: b.store, failAt: 1, forever: true}
		b.cfg.Store = broken
	}
	life := func(ctx context.Context, _ *bench, opened *publish.Publisher) error {
		p = opened
		return p.KeepAlive(ctx)
	}
	inBubbleWith(t, prepare, life, func(*bench) {
		synctest.Wait()
		if _, err := p.Health(); err == nil {
			t.Error("ready before the bucket answered")
		}
		broken.mend()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if _, err := p.Health(); err != nil {
			t.Errorf("not ready after the bucket came back: %v", err)
		}
	})
}
