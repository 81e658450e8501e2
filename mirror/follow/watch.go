package follow

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"snapswarm/common/daemon"
)

// transfer is a download under way: it shows its progress and notices when there is none. It belongs to one goroutine.
type transfer struct {
	copy  Copy
	task  *daemon.Task
	base  Stats     // when it began: what came before does not count
	last  Stats     // when last looked at
	done  int64     // bytes complete then
	moved time.Time // when something last arrived
	gave  bool      // something has arrived at all
}

func watch(c Copy, progress *daemon.Progress, label string, now time.Time) *transfer {
	done, stats := c.Completed(), c.Stats()
	task := progress.Start(label, c.Torrent().Length)
	task.Resume(done)
	return &transfer{copy: c, task: task, base: stats, last: stats, done: done, moved: now}
}

// look takes note of what has arrived.
func (t *transfer) look(now time.Time) {
	stats, done := t.copy.Stats(), t.copy.Completed()
	if stats.Received > t.last.Received {
		t.gave, t.moved = true, now
	}
	if done > t.done || stats.Disk != nil { // found on disk; or the disk is what is waited for
		t.moved = now
	}
	t.last, t.done = stats, done
	t.task.Set(done)
	t.task.Note(t.note())
}

// note is the end of the progress line.
func (t *transfer) note() string {
	peers, origin := t.last.FromPeers-t.base.FromPeers, t.last.FromOrigin-t.base.FromOrigin
	text := shares(peers, origin, t.last.Peers)
	if t.last.Disk != nil {
		text += ", paused: " + t.last.Disk.Error()
	}
	return text
}

// shares tells where the bytes came from: "all from 2 peers", "60% from 2 peers, 40% from the bucket".
func shares(fromPeers, fromOrigin int64, connected int) string {
	total := fromPeers + fromOrigin
	peers := "peers" // those that gave may be gone
	if connected > 0 {
		peers = count(connected, "peer")
	}
	switch {
	case total == 0 && connected == 0:
		return "no peers yet"
	case total == 0:
		return peers
	case fromOrigin == 0:
		return "all from " + peers
	case fromPeers == 0 && connected == 0:
		return "all from the bucket"
	case fromPeers == 0:
		return "all from the bucket, beside " + peers
	}
	percent := min(max((100*fromPeers+total/2)/total, 1), 99) // neither gave nothing
	return fmt.Sprintf("%d%% from %s, %d%% from the bucket", percent, peers, 100-percent)
}

// fault is what is wrong with the transfer, nil while it moves. It wraps ErrDisk, ErrNoSource or ErrStalled.
func (t *transfer) fault(now time.Time, patience time.Duration) error {
	if t.last.Disk != nil {
		return fmt.Errorf("%w: %w", ErrDisk, t.last.Disk)
	}
	quiet := now.Sub(t.moved)
	if quiet < patience {
		return nil
	}
	version, quiet := t.copy.Version(), quiet.Truncate(time.Second)
	if !t.gave {
		return fmt.Errorf("%w: nothing of %s came within %s: %s; check BUCKET_URL, SEED_PEERS and the network",
			ErrNoSource, version, quiet, t.diagnosis())
	}
	return fmt.Errorf("%w: %s at %s of %s, nothing new for %s: %s; what is here stays, the next run goes on from it",
		ErrStalled, version, daemon.Bytes(t.done), daemon.Bytes(t.copy.Torrent().Length), quiet, t.diagnosis())
}

// diagnosis tells what each source says.
func (t *transfer) diagnosis() string {
	parts := []string{fmt.Sprintf("%s connected, %d of them complete", count(t.last.Peers, "peer"), t.last.Seeds)}
	for _, url := range slices.Sorted(maps.Keys(t.last.Origins)) {
		parts = append(parts, fmt.Sprintf("%s: %v", url, t.last.Origins[url]))
	}
	if len(t.last.Origins) == 0 && len(t.copy.Torrent().Origins) == 0 {
		parts = append(parts, "no origin is known")
	}
	return strings.Join(parts, "; ")
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
