package follow

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"snapswarm/common/daemon"
	"snapswarm/common/snapshot"
)

// State is what a channel is doing, in one word.
type State string

// The states of a channel.
const (
	Searching   State = "searching"   // no pointer yet
	Opening     State = "opening"     // getting the torrent
	Downloading State = "downloading" // of the newest version, or an older one that is finished first
	Waiting     State = "waiting"     // for disk space, or to try again
	Verifying   State = "verifying"   // hashing the whole archive
	Extracting  State = "extracting"  // unpacking
	Seeding     State = "seeding"     // the newest version is complete and verified
	Failed      State = "failed"      // the newest version is here and not what was signed
)

// Status is how one channel is doing.
type Status struct {
	Channel snapshot.Channel
	State   State
	// Known is true once there is a pointer; Seq, Signed, Expires and Expired are the pointer's.
	Known           bool
	Seq             int64
	Signed, Expires time.Time
	Expired         bool
	// Version is the one that State is about; Length and Completed are its bytes.
	Version           snapshot.Version
	Length, Completed int64
	// Peers and Seeds are connected for it now.
	Peers, Seeds int
	// Versions is how many complete versions are seeded.
	Versions int
	// FromPeers, FromOrigin and Uploaded are bytes of all versions since the process started.
	FromPeers, FromOrigin, Uploaded int64
	// Damaged is how many pieces of all versions were lost on this disk and have to come again.
	Damaged int
	// Scrubbed is when all of that version was last read and hashed again, zero if it never was; Scrubbing is the part passed since.
	Scrubbed  time.Time
	Scrubbing float64
	// Faults is what is wrong at present, a line each; some of it may not matter for readiness.
	Faults []string
	// Beat is when the channel's loop last turned.
	Beat time.Time
}

// Ready is nil when the channel has a pointer and the newest version is complete and verified or on its way, and unpacking it, if
// that is wanted, has not failed; otherwise the reason.
func (s Status) Ready() error {
	if !s.Known || s.State == Waiting || s.State == Failed {
		return errors.New(s.String())
	}
	return nil
}

// String is one line for people.
func (s Status) String() string {
	parts := []string{string(s.State)}
	if s.Version != "" {
		parts[0] += " " + string(s.Version)
	}
	if s.Length > 0 {
		parts = append(parts, fmt.Sprintf("%d%% of %s", percent(s.Completed, s.Length), daemon.Bytes(s.Length)))
	}
	if s.Known {
		parts = append(parts, count(s.Peers, "peer"))
	}
	if s.Damaged > 0 {
		parts = append(parts, count(s.Damaged, "damaged piece")+" on this disk to be fetched again")
	}
	if !s.Scrubbed.IsZero() {
		parts = append(parts, fmt.Sprintf("scrubbed %s, %d%% of the next round", s.Scrubbed.UTC().Format(time.RFC3339), int(100*s.Scrubbing)))
	}
	if s.Known && s.Expires.IsZero() {
		parts = append(parts, "expiry unknown")
	}
	if s.Expired {
		parts = append(parts, fmt.Sprintf("THE POINTER EXPIRED %s: the publisher has not renewed it, what is seeded may be old",
			s.Expires.Format(time.RFC3339)))
	}
	return strings.Join(append(parts, s.Faults...), "; ")
}

// percent rounds down, so that only what is complete has 100.
func percent(part, whole int64) int {
	if whole <= 0 {
		return 0
	}
	return int(float64(min(part, whole)) / float64(whole) * 100)
}
