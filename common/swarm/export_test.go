package swarm

import (
	"time"
)

// Fast shortens all delays for tests.
func Fast(c Config) Config {
	t := defaultTuning()
	t.tick = 20 * time.Millisecond
	t.flush = 50 * time.Millisecond
	t.idle = 300 * time.Millisecond
	t.overdue = 500 * time.Millisecond
	t.hedge = 200 * time.Millisecond
	t.stuck = time.Second
	t.diskRetry = 50 * time.Millisecond
	t.backoff = backoffRange{first: 20 * time.Millisecond, most: 200 * time.Millisecond, factor: 2}
	t.penance = backoffRange{first: 100 * time.Millisecond, most: time.Second, factor: 4}
	t.redial = backoffRange{first: 50 * time.Millisecond, most: time.Second, factor: 2}
	c.tuning = t
	if c.OriginPatience == 0 {
		c.OriginPatience = 2 * time.Second
	}
	return c
}
