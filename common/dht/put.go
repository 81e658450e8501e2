package dht

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"snapswarm/common/pointer"
)

var (
	// ErrNotStored means that no other node took the record.
	ErrNotStored = errors.New("no DHT node stored the pointer")
	// ErrNotReadBack means that nodes took the record, but none returns it. Do not sign a new one at
	// once; wait some minutes and put the same again.
	ErrNotReadBack = errors.New("stored in the DHT, but no node returns it")
	// ErrNewer means that the network holds a newer record of the channel than the one at hand.
	ErrNewer = errors.New("the DHT holds a newer pointer")
)

// PutResult tells how a put went.
type PutResult struct {
	// Closest is how many nodes are responsible and were asked, at most 8.
	Closest int
	// Stored is how many of them took the record.
	Stored int
	// ReadBack is how many other nodes returned exactly this record in a lookup afterwards. The
	// node's own store never counts.
	ReadBack int
	// Newest is the highest sequence number seen in the network, 0 when there was none.
	Newest int64
}

// Put publishes rec: it looks for the nodes closest to the record's target, puts rec to them and
// reads it back with a second lookup. It never uses cas.
//
// Errors are [ErrNotStored], [ErrNotReadBack], [ErrNewer] (then nothing was put),
// [pointer.ErrConflict] (the network holds another value of the same sequence number; nothing was
// put), [ErrNoNodes], those of [pointer.Record.Verify], and ctx's.
func (n *Node) Put(ctx context.Context, rec pointer.Record) (PutResult, error) {
	began := time.Now()
	res, err := n.putAndRead(ctx, rec)
	n.metrics.operation(ctx, "put", began, err)
	if err != nil {
		return res, fmt.Errorf("put pointer into the DHT: %w", err)
	}
	return res, nil
}

func (n *Node) putAndRead(ctx context.Context, rec pointer.Record) (res PutResult, err error) {
	f, err := n.before(ctx, rec)
	if err != nil {
		return PutResult{Newest: f.newest()}, err
	}
	res, err = n.store(ctx, f, rec)
	if err != nil {
		return res, err
	}
	after, err := n.get(ctx, rec.Channel())
	if err != nil {
		return res, fmt.Errorf("read back: %w", err)
	}
	res.Newest = max(res.Newest, after.newest())
	res.ReadBack = after.holders(rec)
	if res.ReadBack == 0 {
		return res, fmt.Errorf("%w: %d stored it, %d were asked", ErrNotReadBack, res.Stored, after.answers)
	}
	return res, nil
}

// before looks up what the network holds and refuses to put what it would not take.
func (n *Node) before(ctx context.Context, rec pointer.Record) (*found, error) {
	if err := rec.Verify(rec.Channel()); err != nil {
		return &found{}, err
	}
	f, err := n.get(ctx, rec.Channel())
	if err != nil {
		return f, err
	}
	if newest := f.newest(); newest > rec.Seq {
		return f, fmt.Errorf("%w: seq %d, this one has %d", ErrNewer, newest, rec.Seq)
	}
	for _, other := range f.valid {
		if other.Seq == rec.Seq && !other.Equal(rec) {
			return f, fmt.Errorf("%w: seq %d is in the DHT with another value", pointer.ErrConflict, rec.Seq)
		}
	}
	return f, nil
}

// holders is how many of all nodes asked hold exactly rec.
func (f *found) holders(rec pointer.Record) (count int) {
	for _, held := range f.holds {
		if held.Equal(rec) {
			count++
		}
	}
	return count
}

// store puts rec to the closest nodes of f and into the own store.
func (n *Node) store(ctx context.Context, f *found, rec pointer.Record) (PutResult, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	res := PutResult{Closest: len(f.closest), Newest: f.newest()}
	_ = n.items.put(itemOf(rec), nil) // so that who asks us finds it, too
	var mu sync.Mutex
	last := errors.New("nothing that allows to put")
	var wg sync.WaitGroup
	for _, node := range f.closest {
		wg.Go(func() {
			err := n.putTo(ctx, node, rec)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				res.Stored++
			} else {
				last = err
			}
		})
	}
	wg.Wait()
	if res.Stored > 0 {
		res.Newest = max(res.Newest, rec.Seq)
		return res, nil
	}
	if ctx.Err() != nil {
		return res, context.Cause(ctx)
	}
	return res, fmt.Errorf("%w: %d asked, the last said: %w", ErrNotStored, res.Closest, last)
}

func (n *Node) putTo(ctx context.Context, node reached, rec pointer.Record) error {
	_, err := n.ask(ctx, node.contact, "put", arguments{
		K: string(rec.Key[:]), Salt: rec.Salt, Seq: &rec.Seq, Sig: string(rec.Sig[:]), V: rec.Value,
		Token: node.reply.Token, // hasToken let it pass
	})
	return err
}

func itemOf(rec pointer.Record) item {
	return item{value: rec.Value, key: rec.Key, salt: rec.Salt, seq: rec.Seq, sig: rec.Sig}
}
