//go:build e2e

package e2e_test

import (
	"net/http"
	"path/filepath"
	"testing"

	"snapswarm/common/bucket/s3test"
	"snapswarm/docker/stack"
)

// TestServeStartsWithoutTheBucket starts serve while the bucket is away: what is on its disk is shared meanwhile, and what has changed is
// published when the bucket is back.
func TestServeStartsWithoutTheBucket(t *testing.T) {
	w := newWorld(t)
	relay := s3test.NewRelay(t, w.S3)
	source := w.ledger(1 << 20)
	producer, one := w.produce(source, stack.Env{"S3_ENDPOINT": relay.Endpoint, "PUBLIC_URL": relay.Endpoint + "/" + w.S3.Bucket})
	w.ok(producer.Stop())
	w.write(filepath.Join(source, "data.ldb"), random(2, 1<<20), 0o644)

	relay.Break(func(*http.Request) bool { return true })
	again, err := w.Again(producer)
	w.ok(err)
	w.notReady(again, "[-] lease: ", "[-] publication: failing since 2", "unreachable")
	w.newcomer("newcomer", stack.Env{"BUCKET_URL": ""}, one) // the pointer is in the DHT, the data nowhere else
	now, err := w.Newest(w.ctx)
	w.ok(err)
	if now.Record.Seq != one.Record.Seq {
		t.Errorf("the pointer has moved from %d to %d while the bucket was away", one.Record.Seq, now.Record.Seq)
	}

	relay.Mend()
	two := w.published(again, one.Record.Seq)
	if two.Torrent.Description.Previous != one.Torrent.InfoHash {
		t.Errorf("the next version follows %s, want %s", two.Torrent.Description.Previous, one.Torrent.InfoHash)
	}
	w.ok(again.Ready(w.ctx))
	w.newcomer("newcomer", alone(nil), two)
}
