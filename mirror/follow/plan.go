package follow

import (
	"cmp"
	"slices"
	"time"

	"snapswarm/common/snapshot"
)

// held is what plan knows of one version on this machine.
type held struct {
	infoHash  snapshot.InfoHash
	version   snapshot.Version
	previous  snapshot.InfoHash // of the version that it replaced as the newest, zero if that is not known
	length    int64             // of the archive, bytes
	completed int64             // bytes in pieces that are here and hashed
	complete  bool              // every piece is
	verified  bool              // and the whole archive has the SHA-256 that the publisher signed
	broken    bool              // every piece is here, but the whole has another hash
	ailing    bool              // incomplete for no more than damaged pieces, which come again, and pieces that are being hashed
	running   bool              // being downloaded
	stalled   bool              // no progress for too long
	busy      bool              // being verified or extracted
	extracted bool              // unpacked, or never to be
	withdrawn bool              // newer than what the pointer names, or passed over by a newer version: its publisher took it back
	retain    time.Duration     // how long its publisher promised to keep it once there is a newer one
}

// usable reports whether h is a version that others and we can rely on.
func (h held) usable() bool { return h.complete && !h.broken }

// stays reports whether h is worth what a version is that need not leave: a piece that rots must not cost the rest.
func (h held) stays() bool { return h.usable() || h.ailing }

// policy is what the operator wants of plan.
type policy struct {
	retain     int   // old versions that stay
	promised   bool  // and beyond these, what the publisher promised to keep, while there is room
	newestOnly bool  // never finish an older download first
	extract    bool  // unpack what was verified
	free       int64 // bytes left on the disk
}

// kind is what an action does.
type kind string

const (
	open    kind = "open"    // get the torrent and join its swarm
	start   kind = "start"   // download everything
	stop    kind = "stop"    // keep and seed what is there, fetch no more
	verify  kind = "verify"  // hash the whole archive
	extract kind = "extract" // unpack
	discard kind = "discard" // leave the swarm and delete
)

// action is one thing to do with one version.
type action struct {
	kind     kind
	infoHash snapshot.InfoHash
}

// finishFirst is the part of an older download from which on it is finished before the newest is begun.
const finishFirst = 0.5

// plan decides what to do so that the newest version gets here, verified, and nothing that anybody relies on leaves before
// that. latest is what the pointer names, zero if it is not known. It is pure: the same input gives the same
// actions, and once they are done it gives none.
//
//   - One version of a channel is downloaded at a time: the newest. But an older one that is at least half here and not
//     stalled is finished first, and so is one for which another had been given up already; a mirror slower than
//     its publisher would otherwise never complete anything.
//   - What was withdrawn is not finished, and stays only where too few others do.
//   - Complete versions leave only when the newest is complete and verified; the newest itself never leaves.
//   - Of what is left then, retain versions stay. Beyond these, if promised is set, a version stays for the time that its
//     publisher signed, while the disk has room for two more of the newest.
//   - A version that lost pieces on this disk counts as if it had them: they come again. It takes no whole one's place.
//   - Of older downloads that were given up, only one is kept: disks must not fill with pieces that nobody completes.
func plan(have []held, latest snapshot.InfoHash, now time.Time, p policy) []action {
	have = passOver(newestFirst(have))
	target := choose(have, latest, p)
	var actions []action
	if i := find(have, target); i < 0 && !target.IsZero() {
		actions = append(actions, action{open, target})
	}
	for _, h := range have {
		switch {
		case h.infoHash == target && !h.complete && !h.running:
			actions = append(actions, action{start, h.infoHash})
		case h.infoHash != target && !h.complete && h.running:
			actions = append(actions, action{stop, h.infoHash})
		}
	}
	actions = append(actions, check(have, latest)...)
	actions = append(actions, unpack(have, latest, p)...)
	return append(actions, clean(have, latest, target, now, p)...)
}

// newestFirst sorts a copy, so that plan does not depend on the order it is given.
func newestFirst(have []held) []held {
	have = slices.Clone(have)
	slices.SortFunc(have, func(a, b held) int {
		return cmp.Or(cmp.Compare(b.version, a.version), slices.Compare(b.infoHash[:], a.infoHash[:]))
	})
	return have
}

// passOver marks, in place, versions that a newer one does not follow, but one from before them.
func passOver(have []held) []held {
	for i := range have {
		for _, newer := range have[:i] {
			have[i].withdrawn = have[i].withdrawn || find(have, newer.previous) > i
		}
	}
	return have
}

func find(have []held, ih snapshot.InfoHash) int {
	return slices.IndexFunc(have, func(h held) bool { return h.infoHash == ih })
}

// choose is the version to download.
func choose(have []held, latest snapshot.InfoHash, p policy) snapshot.InfoHash {
	if latest.IsZero() || p.newestOnly || find(have, latest) >= 0 {
		return latest
	}
	partial := slices.DeleteFunc(partials(have, latest), func(h held) bool { return h.withdrawn })
	if len(partial) == 0 || partial[0].stalled {
		return latest
	}
	halfway := float64(partial[0].completed) >= finishFirst*float64(partial[0].length)
	if halfway || len(partial) > 1 {
		return partial[0].infoHash
	}
	return latest
}

// partials are the downloads of versions other than latest, newest first.
func partials(have []held, latest snapshot.InfoHash) []held {
	var out []held
	for _, h := range have {
		if !h.complete && !h.ailing && h.infoHash != latest {
			out = append(out, h)
		}
	}
	return out
}

// check verifies one archive at a time, the newest first: it takes the whole disk.
func check(have []held, latest snapshot.InfoHash) []action {
	next := -1
	for i, h := range have {
		if h.busy {
			return nil
		}
		if h.usable() && !h.verified && (next < 0 || h.infoHash == latest) {
			next = i
		}
	}
	if next < 0 {
		return nil
	}
	return []action{{verify, have[next].infoHash}}
}

// unpack extracts the version that the pointer names, and until that is verified, the newest that is.
func unpack(have []held, latest snapshot.InfoHash, p policy) []action {
	i := slices.IndexFunc(have, func(h held) bool { return h.verified })
	if l := find(have, latest); l >= 0 && have[l].verified {
		i = l
	}
	if !p.extract || i < 0 || have[i].extracted || slices.ContainsFunc(have, func(h held) bool { return h.busy }) {
		return nil
	}
	return []action{{extract, have[i].infoHash}}
}

// clean says what leaves, oldest first.
func clean(have []held, latest, target snapshot.InfoHash, now time.Time, p policy) []action {
	l := find(have, latest)
	if l < 0 || !have[l].verified {
		return abandon(have, latest, target)
	}
	spare := spares(have, latest, p.retain)
	free := p.free
	var actions []action
	for i := len(have) - 1; i >= 0; i-- { // oldest first
		h := have[i]
		if i == l || h.busy {
			continue
		}
		if h.stays() && (spare[h.infoHash] || p.promised && promised(have, i, l, now) && free >= 2*have[l].length) {
			continue
		}
		actions = append(actions, action{discard, h.infoHash})
		free += h.completed
	}
	return actions
}

func withdrawnLast(have []held) []held {
	have = slices.Clone(have)
	slices.SortStableFunc(have, func(a, b held) int {
		switch {
		case a.withdrawn == b.withdrawn:
			return 0
		case b.withdrawn:
			return -1
		}
		return 1
	})
	return have
}

// spares are the newest n verified versions other than latest, and those that would be among the newest n if all turned out well that
// lost pieces or have not been checked yet. What was withdrawn comes after all others.
func spares(have []held, latest snapshot.InfoHash, n int) map[snapshot.InfoHash]bool {
	out := make(map[snapshot.InfoHash]bool)
	verified, all := 0, 0
	for _, h := range withdrawnLast(have) {
		if !h.stays() || h.infoHash == latest {
			continue
		}
		out[h.infoHash] = all < n || h.verified && verified < n
		all++
		if h.verified {
			verified++
		}
	}
	return out
}

// promised reports whether the publisher's promise for have[i] still runs: from the moment the next version came, which is
// have[l] at the latest.
func promised(have []held, i, l int, now time.Time) bool {
	superseded := have[next(have, i, l)].version.Time()
	return have[i].retain > 0 && !superseded.IsZero() && now.Before(superseded.Add(have[i].retain))
}

// next is what replaced have[i] as the newest version: the last that follows it, for others may have been withdrawn before.
func next(have []held, i, l int) int {
	for n := range i {
		if have[n].previous == have[i].infoHash {
			return n
		}
	}
	if i > 0 {
		return i - 1
	}
	return l
}

// abandon discards, while the newest is still on its way, all but one of the older downloads that were given up.
func abandon(have []held, latest, target snapshot.InfoHash) []action {
	if target != latest {
		return nil // an older one is being finished; nothing was given up since
	}
	partial := partials(have, latest)
	var actions []action
	for i := len(partial) - 1; i >= 1; i-- {
		if !partial[i].busy {
			actions = append(actions, action{discard, partial[i].infoHash})
		}
	}
	return actions
}
