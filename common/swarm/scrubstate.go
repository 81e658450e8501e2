package swarm

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"snapswarm/common/durable"
	"snapswarm/common/snapshot"
)

// scrubHeader begins the file and has the version of its format.
const scrubHeader = "snapswarm scrub 1"

const maxScrubFile = 256

var errBadScrub = errors.New("file of the scrubber is damaged")

// scrubState is how far the scrubber is with a snapshot; FORMAT.md describes the file. Times have whole seconds on disk.
type scrubState struct {
	next     int       // the pieces before it were read in this round
	since    time.Time // end of the round before, or when the snapshot was first seen
	finished time.Time // end of the last round that read something; zero if there was none
}

func scrubPath(dir string, ih snapshot.InfoHash) string {
	return filepath.Join(dir, "."+ih.String()+".scrub")
}

func (s scrubState) encode() []byte {
	return fmt.Appendf(nil, "%s\nnext %d\nsince %d\nfinished %d\n", scrubHeader, s.next, s.since.Unix(), unixOrZero(s.finished))
}

func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// parseScrubState decodes what encode made for that many pieces. Errors wrap errBadScrub.
func parseScrubState(b []byte, pieces int) (scrubState, error) {
	var next int
	var since, finished int64
	_, err := fmt.Sscanf(string(b), scrubHeader+"\nnext %d\nsince %d\nfinished %d\n", &next, &since, &finished)
	if err != nil || len(b) > maxScrubFile || next < 0 || next > pieces || since <= 0 || finished < 0 {
		return scrubState{}, fmt.Errorf("%w: %.80q", errBadScrub, b)
	}
	s := scrubState{next: next, since: time.Unix(since, 0)}
	if finished > 0 {
		s.finished = time.Unix(finished, 0)
	}
	return s, nil
}

// readScrubState reads the file at path; a missing one is no error and the beginning.
func readScrubState(path string, pieces int) (scrubState, error) {
	b, err := durable.ReadFile(path, maxScrubFile)
	if errors.Is(err, fs.ErrNotExist) {
		return scrubState{}, nil
	}
	if err != nil {
		return scrubState{}, err // names the path
	}
	s, err := parseScrubState(b, pieces)
	if err != nil {
		return scrubState{}, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

func (s scrubState) write(path string) error {
	if err := durable.WriteFile(path, s.encode(), 0o644); err != nil {
		return fmt.Errorf("write how far the scrubber is: %w", err)
	}
	return nil
}
