package publish

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"snapswarm/common/snapshot"
)

// Retention says of each version of a channel whether it stays or goes, and why.
//
// A version stays while a pointer that has not expired and that anybody can still be given names it: the newest one, and
// what the bucket, its public address or a node of the DHT has not replaced yet. A record that was superseded everywhere
// names nothing any more, whatever its expiry: readers take the highest sequence number of all their sources and never go
// back. To keep every version until the records that named it expire would make the number to keep meaningless: with one
// publication an hour and a POINTER_TTL of 14 days that are 336 versions. Who is in the middle of a download when a newer
// version comes is served by the number to keep, and by the time that the publisher signed into the torrent.
//
// The link to the version before, by which the history is a chain, needs only its info-hash, so it keeps nothing.
type Retention struct {
	Channel string `json:"channel"`
	// Versions, the newest first.
	Versions []Retained `json:"versions"`
	// Foreign are objects under the channel's name that belong to no version. They are never touched.
	Foreign []string `json:"foreign,omitempty"`
}

// Retained is the lot of one version.
type Retained struct {
	Version snapshot.Version `json:"version"`
	Kept    bool             `json:"kept"`
	Why     string           `json:"why"`
	Stored  int64            `json:"stored"`  // bytes in the bucket
	OnDisk  int64            `json:"on_disk"` // bytes on this disk

	objects []string // in the order in which they are deleted
}

// Leaving are the versions that go, the oldest first.
func (r Retention) Leaving() []Retained {
	var out []Retained
	for _, v := range slices.Backward(r.Versions) {
		if !v.Kept {
			out = append(out, v)
		}
	}
	return out
}

// stock is what is known of a channel's versions, from which plan decides.
type stock struct {
	// newest is what the newest pointer names, zero if there is none.
	newest snapshot.InfoHash
	height uint64 // of the same
	// named is what other pointers name that have not expired, and where they were found.
	named map[snapshot.InfoHash]string
	held  []holding
	// begun are the publications of this producer that did not get as far as the pointer.
	begun   []snapshot.Version
	foreign []string
}

// holding is what is stored of one version, in the bucket and on this disk.
type holding struct {
	version  snapshot.Version
	state    holdingState
	infoHash snapshot.InfoHash // zero if its torrent cannot be read; so are the next two
	previous snapshot.InfoHash
	promise  time.Duration // to stay for after a newer one came
	modified time.Time     // the newest object
	stored   int64
	onDisk   int64
	objects  []string // in the order in which they are deleted
}

type holdingState int

const (
	whole     holdingState = iota
	uploading              // the archive is there without its torrent, which comes after it
	remnant                // the archive is gone; an interrupted removal looks like that
)

// uploadGrace is how long an archive without a torrent is taken for an upload under way. Our own are in the journal; this
// is for those of another producer, and for the case that the journal was lost.
const uploadGrace = 24 * time.Hour

// plan decides what stays. It is pure: the same stock gives the same plan, in whatever order it comes. Unless something
// was withdrawn, which only the links of the versions after it tell, what is left when it was carried out stays, too.
func (s stock) plan(keep int, now time.Time) Retention {
	p := planner{stock: s, keep: keep, now: now}
	p.held = slices.Clone(s.held)
	slices.SortFunc(p.held, func(a, b holding) int { return cmp.Compare(b.version, a.version) })
	p.arrange()
	out := Retention{Foreign: slices.Sorted(slices.Values(s.foreign))}
	for _, h := range p.held {
		kept, why := p.judge(h)
		out.Versions = append(out.Versions, Retained{h.version, kept, why, h.stored, h.onDisk, h.objects})
	}
	return out
}

// planner is one plan in the making.
type planner struct {
	stock
	keep int
	now  time.Time

	current   snapshot.Version   // that the newest pointer names, empty if it is not held
	withdrawn []snapshot.Version // older than current, but not in its history
	line      []snapshot.Version // whole, not withdrawn, current or older; newest first
}

// arrange finds out where each version stands.
func (p *planner) arrange() {
	i := p.find(p.newest)
	if i < 0 {
		return
	}
	p.current = p.held[i].version
	chain := map[snapshot.Version]bool{}
	end := p.current
	for i >= 0 && p.held[i].state == whole && !chain[p.held[i].version] {
		end = p.held[i].version
		chain[end] = true
		i = p.find(p.held[i].previous)
	}
	for _, h := range p.held {
		switch {
		case h.version > p.current || h.state != whole || slices.Contains(p.begun, h.version):
		case h.version > end && !chain[h.version]: // what is before the end of the chain may well be its beginning
			p.withdrawn = append(p.withdrawn, h.version)
		default:
			p.line = append(p.line, h.version)
		}
	}
}

func (p *planner) find(ih snapshot.InfoHash) int {
	if ih.IsZero() {
		return -1
	}
	return slices.IndexFunc(p.held, func(h holding) bool { return h.infoHash == ih })
}

// judge is the lot of one version. The first reason that fits counts.
func (p *planner) judge(h holding) (kept bool, why string) {
	place := slices.Index(p.line, h.version)
	last := p.line[:min(p.keep, len(p.line))]
	switch {
	case p.current == "":
		return true, "nothing goes while the version that the pointer names is unknown"
	case h.version == p.current:
		return true, "the pointer names it"
	case p.named[h.infoHash] != "" && !h.infoHash.IsZero():
		return true, "a pointer in " + p.named[h.infoHash] + " still names it"
	case slices.Contains(p.begun, h.version):
		return true, "begun here and not finished; the next publication sees to it"
	case h.version > p.current:
		return true, "newer than what the pointer names: withdrawn, or on its way"
	case h.state == uploading && p.now.Sub(h.modified) < uploadGrace:
		return true, "has no torrent yet, and may be on its way"
	case h.state != whole:
		return false, "incomplete"
	case place >= 0 && place < len(last):
		return true, fmt.Sprintf("one of the newest %d", p.keep)
	}
	if until := p.promised(h); p.now.Before(until) {
		return true, "promised until " + until.UTC().Format(time.RFC3339)
	}
	switch {
	case place >= 0:
		return false, fmt.Sprintf("beyond the newest %d", p.keep)
	case len(last) < p.keep || h.version > last[len(last)-1]:
		return true, "withdrawn; goes when those around it go"
	}
	return false, "withdrawn"
}

// promised is until when its publisher has promised to keep h, counted from the publication of the next version; the zero
// time if there is no promise.
func (p *planner) promised(h holding) time.Time {
	if h.promise <= 0 {
		return time.Time{}
	}
	next := p.current
	for _, v := range p.line {
		if v > h.version {
			next = v
		}
	}
	return next.Time().Add(h.promise)
}
