package dht

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

const (
	// patience is how long after its start a node waits for others to appear, instead of saying at
	// once that there are none: in a new network all start at the same time.
	patience = 30 * time.Second
	// tryAgain is the pause between attempts meanwhile.
	tryAgain = 500 * time.Millisecond
	// maxRecords is how many different records of one lookup are kept, the newest.
	maxRecords = 8
)

var _ pointer.Source = (*Node)(nil)

// Lookup returns the records of ch that other nodes hold, the newest first, with their signatures
// verified. Only when there are none with a right signature does it return some with a wrong one, so
// that the caller can say why there is no pointer. Nothing found is not an error.
//
// It asks until the closest nodes have answered, which takes seconds in the public DHT; when ctx
// ends before, it returns what it has. Right after the start it waits for the node to join. Errors
// are [ErrNoNodes], [ErrClosed] and ctx's.
func (n *Node) Lookup(ctx context.Context, ch snapshot.Channel) ([]pointer.Record, error) {
	began := time.Now()
	found, err := n.get(ctx, ch)
	if len(found.valid) > 0 {
		err = nil
	}
	n.metrics.operation(ctx, "get", began, err)
	if err != nil {
		return nil, fmt.Errorf("look up pointer in the DHT: %w", err)
	}
	if len(found.valid) > 0 {
		return found.valid, nil
	}
	return found.forged, nil
}

// found is what a traversal for a channel's records came to.
type found struct {
	ch      snapshot.Channel
	closest []reached                         // those that gave a token
	holds   map[netip.AddrPort]pointer.Record // what each node holds, if verified
	valid   []pointer.Record                  // different ones, newest first
	forged  []pointer.Record                  // different ones that fail verification
	answers int
}

// get asks the nodes closest to the channel's target for its records.
func (n *Node) get(ctx context.Context, ch snapshot.Channel) (*found, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	for {
		f, err := n.getOnce(ctx, ch)
		if err != nil && ctx.Err() != nil {
			return f, context.Cause(ctx)
		}
		if !n.worthWaiting(err) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return f, context.Cause(ctx)
		case <-time.After(tryAgain):
		}
	}
}

// worthWaiting reports whether err may go away soon: nobody answers, but others are expected.
func (n *Node) worthWaiting(err error) bool {
	return errors.Is(err, ErrNoNodes) && !errors.Is(err, errForbidden) && time.Since(n.began) <= patience && !n.Alone()
}

// Alone reports whether nobody is known that could be waited for: there is no bootstrap node, no node
// of an earlier run, and nobody has come yet.
func (n *Node) Alone() bool { return len(n.bootstrap) == 0 && len(n.saved) == 0 && n.book.len() == 0 }

func (n *Node) getOnce(ctx context.Context, ch snapshot.Channel) (*found, error) {
	f := &found{ch: ch, holds: make(map[netip.AddrPort]pointer.Record)}
	target := id(pointer.Target(ch))
	var err error
	f.closest, err = n.walk(ctx, target, "get", arguments{Target: string(target[:])}, hasToken, func(r reached) { n.take(f, r) })
	return f, err
}

func hasToken(r reached) bool {
	return r.reply.Token != "" && len(r.reply.Token) <= maxToken
}

// take looks at one reply. Any field of it may be missing or nonsense.
func (n *Node) take(f *found, r reached) {
	f.answers++
	rec, ok := recordOf(r.reply, f.ch)
	if !ok {
		return
	}
	if rec.Verify(f.ch) != nil {
		n.metrics.forged.Add(n.ctx, 1)
		f.forged = insert(f.forged, rec, maxRecords/2)
		return
	}
	f.holds[r.addr] = rec
	f.valid = insert(f.valid, rec, maxRecords)
}

// recordOf is the record that a reply carries for ch; ok is false when it carries none.
func recordOf(r *result, ch snapshot.Channel) (rec pointer.Record, ok bool) {
	rec = pointer.Record{Key: ch.Key, Salt: ch.Salt, Value: r.V}
	if len(r.V) == 0 || r.Seq == nil || len(r.Sig) != len(rec.Sig) {
		return rec, false
	}
	if r.K != "" && r.K != string(ch.Key[:]) { // some leave out the key, which is known
		return rec, false
	}
	rec.Seq = *r.Seq
	copy(rec.Sig[:], r.Sig)
	return rec, true
}

// insert adds rec to records, which are different and sorted by falling seq, and keeps the first.
func insert(records []pointer.Record, rec pointer.Record, limit int) []pointer.Record {
	if slices.ContainsFunc(records, rec.Equal) {
		return records
	}
	at, _ := slices.BinarySearchFunc(records, rec, func(a, b pointer.Record) int { return cmp.Compare(b.Seq, a.Seq) })
	records = slices.Insert(records, at, rec)
	return records[:min(len(records), limit)]
}

// newest is the highest sequence number found; 0 means none.
func (f *found) newest() int64 {
	if len(f.valid) == 0 {
		return 0
	}
	return f.valid[0].Seq
}

// holding is how many of the closest nodes hold exactly rec.
func (f *found) holding(rec pointer.Record) (count int) {
	for _, r := range f.closest {
		if held, ok := f.holds[r.addr]; ok && held.Equal(rec) {
			count++
		}
	}
	return count
}
