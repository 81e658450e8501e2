package dht_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"snapswarm/common/dht"
	"snapswarm/common/pointer"
)

// Of the eight closest nodes that answer, k hold the newest record and the others an older one.
func TestReputOnlyWhileFewerThanSixOfTheEightClosestHoldIt(t *testing.T) {
	nodes := startNetwork(t, 20)
	asker := nodes[0]
	acquaint(t, nodes)
	closest := byDistance(nodes[1:])[:8]
	if _, err := asker.Put(t.Context(), sign(t, 1, 1)); err != nil {
		t.Fatal(err)
	}
	for k := range 9 {
		rec := sign(t, int64(10+k), byte(k+1))
		for _, n := range closest[:k] {
			if err := honestly(t, n, rec); err != nil {
				t.Fatal(err)
			}
		}
		if k == 0 { // nobody holds the newest: the asker has it from elsewhere
			res, err := asker.Reput(t.Context(), rec)
			wantReput(t, res, err, dht.ReputResult{Closest: 8, Put: true, Stored: 8, Newest: rec.Seq})
			continue
		}
		res, err := asker.Reput(t.Context(), rec)
		want := dht.ReputResult{Closest: 8, Holding: k, Newest: rec.Seq}
		if k < 6 {
			want.Put, want.Stored = true, 8
		}
		wantReput(t, res, err, want)
		for i, n := range closest {
			if got := heldBy(t, n); (got == rec.Seq) != (i < k || k < 6) {
				t.Errorf("%d of 8 held seq %d: now node %d holds seq %d", k, rec.Seq, i, got)
			}
		}
	}
}

func wantReput(t *testing.T, got dht.ReputResult, err error, want dht.ReputResult) {
	t.Helper()
	if err != nil || got != want {
		t.Errorf("Reput = %+v, %v, want %+v", got, err, want)
	}
}

// byDistance sorts nodes by their distance from the test channel's target.
func byDistance(nodes []*dht.Node) []*dht.Node {
	target := pointer.Target(testChannel())
	distance := func(n *dht.Node) []byte {
		d := n.ID()
		for i := range d {
			d[i] ^= target[i]
		}
		return d[:]
	}
	nodes = slices.Clone(nodes)
	slices.SortFunc(nodes, func(a, b *dht.Node) int { return bytes.Compare(distance(a), distance(b)) })
	return nodes
}

// heldBy is the sequence number of the test channel's record that n keeps, 0 when there is none.
func heldBy(t *testing.T, n *dht.Node) int64 {
	t.Helper()
	conn := listen(t)
	defer conn.Close()
	target := pointer.Target(testChannel())
	m, ok := query(t, conn, n, "get", dict{"target": string(target[:])})
	if !ok || m.R == nil {
		t.Fatalf("get = %+v, %v", m, ok)
	}
	if m.R.Seq == nil {
		return 0
	}
	return *m.R.Seq
}

// Those closest nodes that are dead neither count nor are put to.
func TestReputCountsOnlyNodesThatAnswer(t *testing.T) {
	nodes, stops := startMortals(t, 20)
	order := byDistance(nodes)
	rec := sign(t, 5, 1)
	if _, err := order[19].Put(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	for i, n := range nodes {
		if slices.Contains(order[:4], n) {
			stops[i]()
		}
	}
	res, err := order[19].Reput(t.Context(), rec)
	wantReput(t, res, err, dht.ReputResult{Closest: 8, Holding: 4, Put: true, Stored: 8, Newest: 5})
	res, err = order[18].Reput(t.Context(), rec)
	wantReput(t, res, err, dht.ReputResult{Closest: 8, Holding: 8, Newest: 5})
}

// The publisher died. Two mirrors look after its record about every hour, and nodes forget it after
// two. Everybody finds it for a week.
func TestMirrorsKeepARecordForAWeek(t *testing.T) {
	clock := newClock()
	nodes := []*dht.Node{startNode(t, dht.Config{Bootstrap: []string{}, Now: clock.now})}
	for range 9 {
		nodes = append(nodes, startNode(t, dht.Config{Bootstrap: []string{address(nodes[0]).String()}, Now: clock.now}))
	}
	acquaint(t, nodes)
	rec, mirrors, puts := sign(t, 5, 1), nodes[8:], 0
	if _, err := nodes[0].Put(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	for hour := range 7 * 24 {
		clock.advance(time.Hour + time.Duration(hour%13-6)*time.Minute)
		for _, m := range mirrors {
			res, err := m.Reput(t.Context(), rec)
			if err != nil {
				t.Fatalf("hour %d: Reput = %+v, %v", hour, res, err)
			}
			if res.Put {
				puts++
			}
		}
		if got := lookup(t, nodes[hour%8]); len(got) != 1 || !got[0].Equal(rec) {
			t.Fatalf("hour %d: found %v", hour, got)
		}
	}
	if puts < 7*24/3 || puts > 7*24 {
		t.Errorf("put %d times in a week, want it put when it was about to be forgotten, and by one of the two", puts)
	}
	clock.advance(2 * time.Hour)
	if got := lookup(t, nodes[1]); len(got) != 0 {
		t.Errorf("two hours after the last mirror is gone %v is still there", got)
	}
	if _, err := startNode(t, dht.Config{Bootstrap: []string{}}).Reput(t.Context(), rec); !errors.Is(err, dht.ErrAlone) {
		t.Errorf("Reput of a node that has nobody to reach = %v, want %v", err, dht.ErrAlone)
	}
}
