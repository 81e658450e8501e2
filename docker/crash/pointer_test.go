//go:build e2e && linux

package crash_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/anacrolix/torrent/bencode"

	"snapswarm/common/pointer"
)

// lookEvery is the pause between two looks of an observer.
const lookEvery = 100 * time.Millisecond

// atStorage is a place where pointers are seen, as atNode is and each mirror and gateway, by its name.
const atStorage = "storage"

func atNode(addr string) string { return "DHT node " + addr }

// watched are all those places.
func (w *world) watched() []string {
	places := []string{atStorage}
	for addr := range strings.SplitSeq(w.Bootstrap(), ",") {
		places = append(places, atNode(addr))
	}
	for _, n := range w.nodes {
		if n.role != producer {
			places = append(places, n.name)
		}
	}
	return places
}

// watch calls look again and again, and reports what is wrong.
func (w *world) watch(ctx context.Context, look func(context.Context) error) {
	w.wg.Go(func() {
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if err := look(ctx); err != nil && ctx.Err() == nil {
				w.wrong(err)
			}
		}
	})
}

// lookAtBucket reads the storage's pointer, and checks that all it names is there as long as it is the newest.
func (w *world) lookAtBucket(ctx context.Context) error {
	rec, err := w.pointer(ctx)
	if err != nil {
		return err
	}
	if err := w.history.pointerSeen(atStorage, rec.Seq, rec.Value); err != nil {
		return err
	}
	p, err := rec.Pointer()
	if err != nil {
		return err
	}
	b, missing := w.library.get(ctx, p.InfoHash)
	if missing == nil {
		missing = w.stillThere(ctx, b)
	}
	if missing != nil {
		if now, err := w.pointer(ctx); err != nil || now.Seq != rec.Seq { // it is not the newest any more
			return err
		}
		return w.history.snapshotSeen(nil, missing)
	}
	if err := w.history.snapshotSeen(&b.archive, nil); err != nil {
		return err
	}
	w.mu.Lock()
	w.newest = b
	w.mu.Unlock()
	return w.source.published(b.raw)
}

// pointer reads the storage's pointer.
func (w *world) pointer(ctx context.Context) (rec pointer.Record, err error) {
	b, err := w.library.object(ctx, w.Channel.Salt+"/pointer")
	if err != nil {
		return rec, err
	}
	if rec, err = pointer.ParseRecord(b); err != nil {
		return rec, fmt.Errorf("the storage's pointer: %w", err)
	}
	return rec, rec.Verify(w.Channel)
}

// stillThere looks at the objects of a snapshot, and at one byte in the middle.
func (w *world) stillThere(ctx context.Context, b *book) error {
	archive := b.key(w.Channel.Salt)
	for _, key := range []string{archive, archive + ".torrent", "torrents/" + b.infoHash.String() + ".torrent"} {
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, w.library.base+"/"+key, nil)
		if err != nil {
			return err
		}
		resp, err := w.library.client.Do(req)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || key == archive && resp.ContentLength != int64(len(b.content)) {
			return fmt.Errorf("HEAD %s: %s with %d bytes", key, resp.Status, resp.ContentLength)
		}
	}
	return nil
}

// item is the answer of a DHT node to a query for a mutable item (BEP 44).
type item struct {
	R struct {
		K   string        `bencode:"k"`
		Seq *int64        `bencode:"seq"`
		Sig string        `bencode:"sig"`
		V   bencode.Bytes `bencode:"v"`
	} `bencode:"r"`
}

// lookAtDHT asks one node of the DHT, by a packet of its own.
func (w *world) lookAtDHT(ctx context.Context, node string) error {
	var id [20]byte
	_, _ = rand.Read(id[:]) // never fails
	target := pointer.Target(w.Channel)
	query, err := bencode.Marshal(map[string]any{
		"t": "look", "y": "q", "q": "get", "ro": 1,
		"a": map[string]any{"id": string(id[:]), "target": string(target[:])},
	})
	if err != nil {
		return err
	}
	answer, err := ask(ctx, node, query)
	if err != nil || len(answer) == 0 {
		return err
	}
	var got item
	if err := bencode.Unmarshal(answer, &got); err != nil {
		return fmt.Errorf("DHT node %s: %w", node, err)
	}
	if got.R.Seq == nil {
		return nil // it was not told
	}
	rec := pointer.Record{Salt: w.Channel.Salt, Seq: *got.R.Seq, Value: got.R.V}
	if copy(rec.Key[:], got.R.K) != len(rec.Key) || copy(rec.Sig[:], got.R.Sig) != len(rec.Sig) {
		return fmt.Errorf("DHT node %s: an item without key or signature", node)
	}
	if err := rec.Verify(w.Channel); err != nil {
		return fmt.Errorf("DHT node %s: %w", node, err)
	}
	return w.history.pointerSeen(atNode(node), rec.Seq, rec.Value)
}

// ask sends a packet and waits for the answer; none is no error, since packets get lost.
func ask(ctx context.Context, addr string, packet []byte) ([]byte, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp4", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := conn.Write(packet); err != nil {
		return nil, err
	}
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return nil, nil
	}
	return b[:n], err
}

// lookAtFollower asks a mirror or gateway which pointer it follows. That it does not answer is no news.
func (w *world) lookAtFollower(n *node) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		p := n.now()
		if p == nil {
			return nil
		}
		if n.role == mirror {
			seq, err := p.Metric(ctx, "snapswarm_mirror_pointer_seq")
			if err != nil || seq == 0 {
				return nil //nolint:nilerr // it is being killed
			}
			return w.history.pointerSeen(n.name, int64(seq), nil)
		}
		b, err := fetch(ctx, w.served(n, "pointer"))
		if err != nil {
			return nil //nolint:nilerr // it is being killed
		}
		rec, err := pointer.ParseRecord(b)
		if err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		if err := rec.Verify(w.Channel); err != nil {
			return fmt.Errorf("%s: %w", n.name, err)
		}
		return w.history.pointerSeen(n.name, rec.Seq, rec.Value)
	}
}

func (w *world) watchAll(ctx context.Context) {
	w.watch(ctx, w.lookAtBucket)
	for node := range strings.SplitSeq(w.Bootstrap(), ",") {
		w.watch(ctx, func(ctx context.Context) error { return w.lookAtDHT(ctx, node) })
	}
	for _, n := range w.nodes {
		w.watch(ctx, n.lives)
		if n.role != producer {
			w.watch(ctx, w.lookAtFollower(n))
		}
	}
}
