package dht_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"snapswarm/common/dht"
)

// lookupPromise is how long a lookup may take though many nodes are dead.
const lookupPromise = 5 * time.Second

// A part of the network dies at once, so that all tables are full of the dead.
func TestLookupSurvivesDeadNodes(t *testing.T) {
	for _, c := range []struct{ size, dead int }{{60, 20}, {60, 30}} {
		t.Run(fmt.Sprint(c.dead, " of ", c.size), func(t *testing.T) {
			nodes, stops := startMortals(t, c.size)
			rec := sign(t, 5, 1)
			if _, err := nodes[1].Put(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			order := rand.Perm(c.size)
			for _, i := range order[:c.dead] {
				stops[i]()
			}
			var mu sync.Mutex
			var took []time.Duration
			var wg sync.WaitGroup
			for _, i := range order[c.dead:][:20] {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(t.Context(), lookupPromise)
					defer cancel()
					began := time.Now()
					got, err := nodes[i].Lookup(ctx, testChannel())
					mu.Lock()
					defer mu.Unlock()
					took = append(took, time.Since(began))
					if err != nil || ctx.Err() != nil || len(got) != 1 || !got[0].Equal(rec) {
						t.Errorf("node %d: Lookup = %v, %v, %v, want the record in time", i, got, err, ctx.Err())
					}
				})
			}
			wg.Wait()
			slices.Sort(took)
			t.Logf("lookups took %v (median), %v (most)", took[len(took)/2], took[len(took)-1])
			began := time.Now()
			if res, err := nodes[order[c.size-1]].Put(t.Context(), sign(t, 6, 2)); err != nil || res.ReadBack < 6 {
				t.Errorf("Put = %+v, %v", res, err)
			}
			t.Logf("a put took %v", time.Since(began))
		})
	}
}

// startMortals is startNetwork of nodes that a test ends, with the timeouts of the real world.
func startMortals(t *testing.T, size int) (nodes []*dht.Node, stops []func()) {
	t.Helper()
	boot := []string{}
	for range size {
		n, stop := startStoppable(t, dht.Config{Bootstrap: boot, QueryTimeout: dht.DefaultQueryTimeout})
		t.Cleanup(stop)
		nodes, stops = append(nodes, n), append(stops, stop)
		boot = []string{address(nodes[0]).String()}
	}
	acquaint(t, nodes)
	return nodes, stops
}
