package follow

import (
	"maps"
	"slices"
	"time"
)

// report publishes how the channel is doing.
func (c *channel) report(now time.Time) {
	s := Status{
		Channel: c.ch, Beat: now, Known: c.record.Seq != 0, Seq: c.record.Seq,
		Expires: c.pointer.Expires, Expired: c.expiry(now),
		FromPeers: c.past.FromPeers, FromOrigin: c.past.FromOrigin, Uploaded: c.past.Uploaded,
	}
	if s.Known {
		s.Signed = c.record.Time()
	}
	for _, about := range slices.Sorted(maps.Keys(c.faults)) {
		s.Faults = append(s.Faults, about+": "+oneLine(c.faults[about]))
	}
	copies := c.copies()
	have := newestFirst(c.held(copies))
	for _, h := range have {
		stats := copies[h.infoHash].Stats()
		s.FromPeers, s.FromOrigin, s.Uploaded = s.FromPeers+stats.FromPeers, s.FromOrigin+stats.FromOrigin, s.Uploaded+stats.Uploaded
		s.Damaged += stats.Damaged
		if h.usable() {
			s.Versions++
		}
	}
	s.State = c.state(have)
	if i := c.subject(have); i >= 0 {
		stats := copies[have[i].infoHash].Stats()
		s.Version, s.Length, s.Completed, s.Peers, s.Seeds = have[i].version, have[i].length, have[i].completed, stats.Peers, stats.Seeds
		s.Scrubbed, s.Scrubbing = stats.Scrubbed, stats.Scrubbing
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status = s
}

// subject is the version that the status is about: the one being downloaded, else the newest; -1 if none.
func (c *channel) subject(have []held) int {
	if i := slices.IndexFunc(have, func(h held) bool { return h.running }); i >= 0 {
		return i
	}
	return find(have, c.latest())
}

// state puts what is going on into a word.
func (c *channel) state(have []held) State {
	if c.record.Seq == 0 {
		return Searching
	}
	i := c.subject(have)
	switch {
	case i < 0 && c.faults["torrent"] == nil:
		return Opening
	case i < 0:
		return Waiting
	case have[i].broken:
		return Failed
	case have[i].running && c.faults["download"] != nil:
		return Waiting
	case have[i].running:
		return Downloading
	case !have[i].complete:
		return Waiting
	case c.extractionFailed(have[i]):
		return Waiting
	case c.working[have[i].infoHash] == extract:
		return Extracting
	case !have[i].verified && c.faults[verifying(have[i].version)] != nil && c.working[have[i].infoHash] == "":
		return Waiting
	case !have[i].verified:
		return Verifying
	}
	return Seeding
}

// extractionFailed reports whether h could not be unpacked so far, also while that is tried again.
func (c *channel) extractionFailed(h held) bool {
	return h.verified && !h.extracted && c.attempts[action{extract, h.infoHash}] != nil
}
