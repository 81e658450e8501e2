package dht_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anacrolix/dht/v2/krpc"

	"snapswarm/common/dht"
	"snapswarm/common/pointer"
)

func TestEveryNodeFindsWhatOnePut(t *testing.T) {
	for _, size := range []int{2, 3, 5, 20} {
		t.Run(fmt.Sprint(size, " nodes"), func(t *testing.T) {
			nodes := startNetwork(t, size)
			rec := sign(t, 5, 1)
			began := time.Now()
			res, err := nodes[size-1].Put(t.Context(), rec)
			t.Logf("%d nodes: %+v in %v", size, res, time.Since(began))
			closest := min(8, size-1)
			most := min(6, closest) // a busy machine may lose a packet or two of 20 nodes that start
			if err != nil || res.Closest != closest || res.Stored < most || res.ReadBack < most || res.Newest != 5 {
				t.Fatalf("Put = %+v, %v, want %d closest, at least %d stored and read back", res, err, closest, most)
			}
			for i, n := range nodes {
				records := lookup(t, n)
				if len(records) != 1 || !records[0].Equal(rec) || records[0].Verify(testChannel()) != nil {
					t.Errorf("node %d finds %v", i, records)
				}
			}
		})
	}
}

func TestNewerRecordReplacesOlder(t *testing.T) {
	nodes := startNetwork(t, 5)
	for seq := int64(1); seq <= 3; seq++ {
		if _, err := nodes[1].Put(t.Context(), sign(t, seq, byte(seq))); err != nil {
			t.Fatal(err)
		}
		if got := lookup(t, nodes[2]); len(got) != 1 || got[0].Seq != seq {
			t.Errorf("after put of seq %d: found %v", seq, got)
		}
	}
	res, err := nodes[3].Put(t.Context(), sign(t, 2, 2))
	if !errors.Is(err, dht.ErrNewer) || res.Newest != 3 || res.Stored != 0 {
		t.Errorf("Put of an older seq = %+v, %v, want %v and newest 3", res, err, dht.ErrNewer)
	}
	if _, err := nodes[3].Put(t.Context(), sign(t, 3, 9)); !errors.Is(err, pointer.ErrConflict) {
		t.Errorf("Put of another value of the same seq = %v, want %v", err, pointer.ErrConflict)
	}
	if _, err := nodes[3].Put(t.Context(), sign(t, 3, 3)); err != nil {
		t.Errorf("Put of the same again, from another node = %v", err)
	}
}

func TestPutRefusesWhatIsNotValid(t *testing.T) {
	rec := sign(t, 5, 1)
	rec.Sig[0] ^= 1
	if _, err := startNetwork(t, 2)[0].Put(t.Context(), rec); !errors.Is(err, pointer.ErrSignature) {
		t.Errorf("Put = %v, want %v", err, pointer.ErrSignature)
	}
}

func TestReputOnlyWhileFewNodesHoldIt(t *testing.T) {
	clock := newClock()
	nodes := []*dht.Node{startNode(t, dht.Config{Bootstrap: []string{}, Now: clock.now})}
	for range 4 {
		nodes = append(nodes, startNode(t, dht.Config{Bootstrap: []string{address(nodes[0]).String()}, Now: clock.now}))
	}
	for _, n := range nodes {
		eventually(t, func() bool { return n.Stats().Nodes == 4 }, "network does not form")
	}
	rec := sign(t, 5, 1)
	if _, err := nodes[0].Put(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	for i, n := range nodes {
		if res, err := n.Reput(t.Context(), rec); err != nil || res.Put || res.Holding != 4 {
			t.Errorf("node %d: Reput while all four others hold it = %+v, %v, want nothing put", i, res, err)
		}
	}
	clock.advance(3 * time.Hour) // everybody's copy expires
	if got := lookup(t, nodes[2]); len(got) != 0 {
		t.Fatalf("after three hours %v is still there", got)
	}
	res, err := nodes[3].Reput(t.Context(), rec)
	if err != nil || !res.Put || res.Stored != 4 || res.Holding != 0 {
		t.Errorf("Reput of an expired record = %+v, %v, want it put to 4", res, err)
	}
	newcomer := startNode(t, dht.Config{Bootstrap: []string{address(nodes[0]).String()}, Now: clock.now})
	eventually(t, func() bool { return newcomer.Stats().Nodes == 5 }, "newcomer knows %d nodes, want 5", newcomer.Stats().Nodes)
	if res, err = nodes[4].Reput(t.Context(), rec); err != nil || !res.Put || res.Closest != 5 || res.Holding != 4 || res.Stored != 5 {
		t.Errorf("Reput with a newcomer that holds nothing = %+v, %v, want it put to 5, of which 4 held it", res, err)
	}
	if _, err := nodes[0].Put(t.Context(), sign(t, 6, 2)); err != nil {
		t.Fatal(err)
	}
	if res, err = nodes[2].Reput(t.Context(), rec); !errors.Is(err, dht.ErrNewer) || res.Put || res.Newest != 6 {
		t.Errorf("Reput of an old record = %+v, %v, want %v", res, err, dht.ErrNewer)
	}
}

func TestNobodyToAskIsSaidAtOnce(t *testing.T) {
	n := startNode(t, dht.Config{Bootstrap: []string{}})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // far less than others are waited for
	defer cancel()
	if _, err := n.Lookup(ctx, testChannel()); !errors.Is(err, dht.ErrAlone) {
		t.Errorf("Lookup = %v, want %v", err, dht.ErrAlone)
	}
	if _, err := n.Put(ctx, sign(t, 5, 1)); !errors.Is(err, dht.ErrAlone) {
		t.Errorf("Put = %v, want %v", err, dht.ErrAlone)
	}
	if !n.Alone() {
		t.Error("a node without others is not alone")
	}
	other := startNode(t, dht.Config{Bootstrap: []string{n.Addr().String()}})
	if other.Alone() {
		t.Error("a node with a bootstrap node is alone")
	}
	if _, err := other.Lookup(ctx, testChannel()); err != nil {
		t.Fatal(err)
	}
	for n.Alone() { // until it has greeted the one that asked it
		if ctx.Err() != nil {
			t.Fatal("still alone after somebody came")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestLookupAtStartWaitsForTheNetwork(t *testing.T) {
	late := listen(t)
	first := late.LocalAddr().String()
	n := startNode(t, dht.Config{Bootstrap: []string{first}})
	type result struct {
		records []pointer.Record
		err     error
	}
	done := make(chan result, 1)
	go func() {
		records, err := n.Lookup(t.Context(), testChannel())
		done <- result{records, err}
	}()
	// The bootstrap node is mute for longer than a query takes, then comes to life.
	select {
	case r := <-done:
		t.Fatalf("Lookup gave up: %+v", r)
	case <-time.After(3 * queryTimeout):
	}
	boot, err := dht.New(dht.Config{Conn: late, Private: true, QueryTimeout: queryTimeout})
	if err != nil {
		t.Fatal(err)
	}
	defer boot.Close()
	if r := <-done; r.err != nil || len(r.records) != 0 {
		t.Errorf("Lookup = %+v, want nothing found and no error", r)
	}
}

func TestLookupEndsWithItsContextAndWithTheNode(t *testing.T) {
	mute := listen(t)
	defer mute.Close()
	n, stop := startStoppable(t, dht.Config{Bootstrap: []string{mute.LocalAddr().String()}})
	defer stop()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := n.Lookup(ctx, testChannel()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lookup = %v, want %v", err, context.DeadlineExceeded)
	}
	done := make(chan error, 1)
	go func() {
		_, err := n.Lookup(t.Context(), testChannel())
		done <- err
	}()
	stop()
	if err := <-done; !errors.Is(err, dht.ErrClosed) {
		t.Errorf("Lookup while the node closes = %v, want %v", err, dht.ErrClosed)
	}
	if _, err := n.Lookup(t.Context(), testChannel()); !errors.Is(err, dht.ErrClosed) {
		t.Errorf("Lookup after that = %v, want %v", err, dht.ErrClosed)
	}
}

// All others answer once and never again, and a query would take two hours.
func TestCloseWaitsForNobody(t *testing.T) {
	var once, all atomic.Int32
	var addrs []string
	for range 3 {
		var answered atomic.Bool
		addrs = append(addrs, newImpostor(t, func(i *impostor, q krpc.Msg) []byte {
			all.Add(1)
			if answered.Swap(true) {
				return nil
			}
			once.Add(1)
			return i.result(q, nil)
		}).addr())
	}
	n, stop := startStoppable(t, dht.Config{Bootstrap: addrs, QueryTimeout: 2 * time.Hour})
	eventually(t, func() bool { return once.Load() == 3 && all.Load() > 3 }, "asked %d times, want an answer of each, and silence", all.Load())
	found := make(chan error, 1)
	go func() {
		_, err := n.Lookup(t.Context(), testChannel())
		found <- err
	}()
	stop()
	if err := <-found; !errors.Is(err, dht.ErrClosed) {
		t.Errorf("Lookup = %v, want %v", err, dht.ErrClosed)
	}
}

func TestTorrentsAnnounceAndFindPeers(t *testing.T) {
	nodes := startNetwork(t, 5)
	hash := [20]byte{1, 2, 3}
	for i, port := range []uint16{7001, 0} {
		if err := nodes[i].Announce(t.Context(), hash, port, func([]netip.AddrPort) {}); err != nil {
			t.Fatal(err)
		}
	}
	found := map[string]int{}
	if err := nodes[3].Announce(t.Context(), hash, 7003, func(peers []netip.AddrPort) {
		for _, p := range peers {
			found[p.String()]++
		}
	}); err != nil {
		t.Fatal(err)
	}
	if len(found) != 2 || found["127.0.0.1:7001"] < 2 || found[address(nodes[1]).String()] < 2 {
		t.Errorf("peers found %v, want 127.0.0.1:7001 and %v, each from several nodes", found, address(nodes[1]))
	}
}

func TestNetworkOutlivesItsBootstrapNode(t *testing.T) {
	boot, stop := startStoppable(t, dht.Config{Bootstrap: []string{}})
	defer stop()
	var nodes []*dht.Node
	for range 10 {
		nodes = append(nodes, startNode(t, dht.Config{Bootstrap: []string{address(boot).String()}}))
	}
	for i, n := range nodes {
		eventually(t, func() bool { return n.Stats().Nodes == 10 }, "node %d knows %d others, want 10", i, n.Stats().Nodes)
	}
	rec := sign(t, 5, 1)
	if _, err := nodes[0].Put(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	stop()
	for i, n := range nodes {
		if got := lookup(t, n); len(got) != 1 || !got[0].Equal(rec) {
			t.Errorf("node %d finds %v without the bootstrap node", i, got)
		}
	}
}

func TestDeadNodesAreNotPassedOn(t *testing.T) {
	nodes := startNetwork(t, 4)
	mortal, stop := startStoppable(t, dht.Config{Bootstrap: []string{address(nodes[0]).String()}})
	defer stop()
	conn := listen(t)
	defer conn.Close()
	id := mortal.ID()
	lists := func() bool {
		m, ok := query(t, conn, nodes[0], "find_node", dict{"target": string(id[:])})
		return ok && m.R != nil && len(m.R.Nodes) > 0 && m.R.Nodes[0].ID == id
	}
	eventually(t, lists, "the new node is not passed on")
	stop()
	lookup(t, nodes[0]) // notices
	if lists() {
		t.Error("a dead node is passed on")
	}
}
