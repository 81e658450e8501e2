package swarm

import (
	"math"
	"time"
)

// meterMemory is how long a meter smooths over.
const meterMemory = 5 * time.Second

// meter makes a rate of a counter.
type meter struct {
	rate  float64 // per second
	count int64
	at    time.Time // of count
}

func (m *meter) read(now time.Time, count int64) {
	if passed := now.Sub(m.at).Seconds(); !m.at.IsZero() && passed > 0 {
		m.rate += (float64(count-m.count)/passed - m.rate) * (1 - math.Exp(-passed/meterMemory.Seconds()))
	} else if !m.at.IsZero() {
		return
	}
	m.count, m.at = count, now
}
