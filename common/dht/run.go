package dht

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	refreshEvery = 5 * time.Minute  // a walk towards the own ID and a random one
	checkEvery   = time.Minute      // nodes not heard of lately are asked
	saveEvery    = 10 * time.Minute // the nodes are written to disk
	maxChecked   = 32               // nodes asked at once
)

// Run joins the DHT and stays in it: it asks the nodes of an earlier run and the bootstrap nodes,
// keeps the routing tables fresh and saves what it knows. It returns nil when ctx ends or the node
// is closed. Call it once.
func (n *Node) Run(ctx context.Context) error {
	ctx, cancel := n.bound(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { n.pingAll(ctx, n.saved) })
	check, save := time.NewTicker(checkEvery), time.NewTicker(saveEvery)
	defer check.Stop()
	defer save.Stop()
	refresh := time.NewTimer(0)
	defer refresh.Stop()
	joining := &joining{node: n}
	for {
		select {
		case <-ctx.Done():
			return n.save()
		case <-refresh.C:
			refresh.Reset(joining.step(ctx))
		case <-check.C:
			n.pingAll(ctx, n.book.due(maxChecked))
		case <-save.C:
			if err := n.save(); err != nil {
				n.cfg.Log.WarnContext(ctx, "DHT nodes are not saved", "error", err)
			}
		}
	}
}

// joining is how far a node has come with joining the network.
type joining struct {
	node   *Node
	steps  int
	joined bool // others answered the last time
	told   bool // it was said that nobody answers
}

// step refreshes the tables and returns how long to wait for the next: soon while the network is
// new, since others start at the same time.
func (j *joining) step(ctx context.Context) time.Duration {
	n := j.node
	err := n.refresh(ctx, n.id)
	if err == nil && j.steps > 0 {
		_ = n.refresh(ctx, randomID())
	}
	j.report(ctx, err)
	j.steps++
	wait := min(refreshEvery, time.Second<<min(j.steps, 10))
	if err != nil {
		wait = min(wait, time.Minute)
	}
	return wait + rand.N(wait/4+1)
}

// report says when others begin or cease to answer, once. A node without bootstrap nodes is one that
// others come to: when they leave, nothing is wrong.
func (j *joining) report(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	switch log := j.node.cfg.Log; {
	case err == nil && !j.joined:
		log.InfoContext(ctx, "DHT joined", "nodes", j.node.book.len(), "private", j.node.cfg.Private)
		j.told = false
	case err != nil && !j.told && len(j.node.bootstrap) > 0:
		log.WarnContext(ctx, "DHT not reached; will keep trying", "error", err)
		j.told = true
	}
	j.joined = err == nil
}

// refresh walks towards target, which fills the book on the way.
func (n *Node) refresh(ctx context.Context, target id) error {
	_, err := n.walk(ctx, target, "find_node", arguments{Target: string(target[:])},
		func(reached) bool { return true }, func(reached) {})
	return err
}

// pingAll asks nodes whether they are there, a few at a time.
func (n *Node) pingAll(ctx context.Context, nodes []contact) {
	slots := make(chan struct{}, 2*parallel)
	var wg sync.WaitGroup
	for _, c := range nodes {
		slots <- struct{}{}
		wg.Go(func() {
			n.ping(ctx, c.addr)
			<-slots
		})
	}
	wg.Wait()
}
