package catalog

import (
	"slices"
	"time"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// MinRetain is how long an old version is kept at least, whatever its publisher signed: a download of it may have begun just
// before the next one came.
const MinRetain = 24 * time.Hour

// newestHolding is what "latest" means: the holding of the newest pointer; while that is not here, what it was before; at first,
// the newest that is here; else none.
func newestHolding(pointed pointer.Pointer, before snapshot.Version, holdings []Holding) snapshot.Version {
	for _, h := range holdings {
		if pointed.Names(h.Torrent) {
			return h.Version
		}
	}
	for _, h := range holdings {
		if h.Version == before {
			return before
		}
	}
	if len(holdings) == 0 {
		return ""
	}
	return holdings[0].Version
}

func holds(holdings []Holding, pointed pointer.Pointer) bool {
	return slices.ContainsFunc(holdings, func(h Holding) bool { return pointed.Names(h.Torrent) })
}

// outdated are the holdings, given newest first, that need not be kept any more. The one behind latest always stays, and so does
// the newest complete one until latest is complete.
func outdated(holdings []Holding, latest snapshot.Version, now time.Time) []Holding {
	var drop []Holding
	needed := true // a complete version to fall back on
	for _, h := range holdings {
		if h.Version == latest && h.complete() {
			needed = false
		}
	}
	for i, h := range holdings {
		if h.Version == latest {
			continue
		}
		if needed && h.complete() {
			needed = false
			continue
		}
		if keepUntil(holdings, i).Before(now) {
			drop = append(drop, h)
		}
	}
	return drop
}

// keepUntil is how long holdings[i] is kept, counted from the publication of the next version.
func keepUntil(holdings []Holding, i int) time.Time {
	retain := MinRetain
	if d := holdings[i].Torrent.Description; d != nil {
		retain = max(retain, d.Retain)
	}
	return next(holdings, i).Time().Add(retain)
}

// next is the version that came after holdings[i] as the newest. If the publisher took one back in between, that is the last of those
// that name it as the one before them: until then it was the newest. For the newest of all, it is that itself.
func next(holdings []Holding, i int) snapshot.Version {
	for _, h := range holdings[:i] {
		if d := h.Torrent.Description; d != nil && d.Previous == holdings[i].Torrent.InfoHash {
			return h.Version
		}
	}
	return holdings[max(i-1, 0)].Version
}

// jittered spreads what many gateways do at the same interval: between 0.8 and 1.2 of d, for r in [0, 1).
func jittered(d time.Duration, r float64) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*r))
}

// sooner spreads polls without ever being late: between 0.8 and 1 of d, for r in [0, 1).
func sooner(d time.Duration, r float64) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.2*r))
}

// without is a copy of holdings that lacks a version.
func without(holdings []Holding, v snapshot.Version) []Holding {
	var rest []Holding
	for _, h := range holdings {
		if h.Version != v {
			rest = append(rest, h)
		}
	}
	return rest
}
