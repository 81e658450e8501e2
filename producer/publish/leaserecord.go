package publish

import (
	"time"

	"snapswarm/common/bucket"
)

// leaseRecord is the object. Renewed and Expires are by the owner's clock.
type leaseRecord struct {
	Format int `json:"format"`
	// Owner is the producer's data directory, Session one process.
	Owner   string `json:"owner"`
	Session string `json:"session"`
	Holder
	Renewed  time.Time `json:"renewed"`
	Expires  time.Time `json:"expires"`
	Released bool      `json:"released,omitempty"`
}

// left is how long the lease that was found so remains, the margin included; 0 or less when anybody may take it.
func (r leaseRecord) left(found bucket.Found) time.Duration {
	if r.Released {
		return 0
	}
	lasts := min(max(r.Expires.Sub(r.Renewed), 0), mostLease)
	stored, asked := found.Modified, found.Asked
	if stored.IsZero() || asked.IsZero() { // a store without a clock: then ours and the owner's have to do
		stored, asked = r.Renewed, time.Now()
	}
	return lasts + lasts/10 + 5*time.Second - max(asked.Sub(stored), 0)
}
