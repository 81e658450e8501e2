package publish

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"snapswarm/common/archive"
	"snapswarm/common/durable"
	"snapswarm/common/snapshot"
)

const (
	journalName    = "journal.json"
	journalVersion = 1
	maxJournal     = 1 << 20
)

// journal remembers across crashes what was begun and what was last published. Each change is on disk before the method
// that makes it returns.
type journal struct {
	path string

	mu       sync.Mutex
	state    journalState // guarded by mu
	watching string       // guarded by mu: the source that is watched, absolute; empty for none
}

type journalState struct {
	Format int `json:"format"`
	// Begun are publications that did not get as far as the pointer, each written down before its first file.
	Begun []attempt `json:"begun,omitempty"`
	// Last is the newest publication.
	Last *published `json:"last,omitempty"`
	// Watched is what was published last of the source that [Publisher.Watch] watches: another one may have come since.
	Watched *published `json:"watched,omitempty"`
	// Unsent is the newest record signed, until the bucket is known to hold it.
	Unsent *unsent `json:"unsent,omitempty"`
}

// unsent says which record was signed to replace which, 0 for none. Where the bucket holds a third one, somebody else has
// published in between, and the record must not come out any more.
type unsent struct {
	Seq  int64 `json:"seq"`
	Over int64 `json:"over,omitempty"`
}

// attempt is a publication that was begun. InfoHash is empty until the archive and its torrent were complete and durable on
// this disk, and nothing is stored before that.
type attempt struct {
	Version     snapshot.Version `json:"version"`
	File        string           `json:"file"`
	InfoHash    string           `json:"info_hash,omitempty"`
	Size        int64            `json:"size,omitempty"` // of the archive, known together with the info-hash
	Fingerprint string           `json:"fingerprint,omitempty"`
	Source      string           `json:"source,omitempty"`  // absolute path, none of a stream
	Shape       shape            `json:"shape,omitzero"`    // that the settings gave it
	Modified    time.Time        `json:"modified,omitzero"` // the archive, known together with its size
	Dropped     bool             `json:"dropped,omitempty"` // only what it left in the bucket is still to go
}

// published is what the attempt has become.
func (a attempt) published(at time.Time) published {
	return published{Version: a.Version, Source: a.Source, Fingerprint: a.Fingerprint, At: at}
}

// continuable reports whether an attempt got so far, and was written down so fully, that another run may go on with it.
func (a attempt) continuable() bool {
	return a.InfoHash != "" && a.Fingerprint != "" && !a.Modified.IsZero() && !a.Dropped
}

// shape are the settings that decide what an archive and its torrent look like, apart from their name.
type shape struct {
	Level       archive.Level `json:"level,omitempty"`
	PassThrough bool          `json:"pass_through,omitempty"`
	PieceLength int64         `json:"piece_length,omitempty"`
	Hybrid      bool          `json:"hybrid,omitempty"`
}

func (c Config) shape() shape {
	return shape{Level: c.Level, PassThrough: c.PassThrough, PieceLength: c.PieceLength, Hybrid: c.Hybrid}
}

// published says what the newest snapshot was made of, so that an unchanged source is not published again.
type published struct {
	Version     snapshot.Version `json:"version"`
	Source      string           `json:"source,omitempty"` // path; empty for a stream
	Fingerprint string           `json:"fingerprint,omitempty"`
	At          time.Time        `json:"at"`
}

// openJournal reads the journal at path. A damaged one is set aside: what it knew is lost, which costs some space in the
// bucket and one publication at most.
func openJournal(path string, log *slog.Logger) (*journal, error) {
	j := &journal{path: path, state: journalState{Format: journalVersion}}
	b, err := durable.ReadFile(path, maxJournal)
	if errors.Is(err, fs.ErrNotExist) {
		return j, nil
	}
	if err != nil && !errors.Is(err, durable.ErrDamaged) {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	var st journalState
	switch err := json.Unmarshal(b, &st); {
	case err == nil && st.Format == journalVersion && st.valid():
		j.state = st
		return j, nil
	case err == nil && st.Format > journalVersion:
		return nil, fmt.Errorf("read journal %s: format %d is newer than this program; use the newer one", path, st.Format)
	}
	aside, err := durable.SetAside(path)
	log.Warn("journal was damaged and is set aside", "file", aside)
	return j, err
}

// valid makes sure that names from the disk cannot lead anywhere else.
func (s journalState) valid() bool {
	for _, a := range s.Begun {
		if _, err := snapshot.ParseVersion(string(a.Version)); err != nil || snapshot.CheckFileName(a.File) != nil {
			return false
		}
		if _, err := snapshot.ParseInfoHash(a.InfoHash); a.InfoHash != "" && err != nil {
			return false
		}
	}
	return true
}

func (j *journal) begun() []attempt {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.state.Begun)
}

func (j *journal) last() (published, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state.Last == nil {
		return published{}, false
	}
	return *j.state.Last, true
}

// begin notes an attempt, or what more is known of it.
func (j *journal) begin(a attempt) error {
	return j.change(func(s *journalState) {
		s.Begun = append(slices.DeleteFunc(s.Begun, func(b attempt) bool { return b.Version == a.Version }), a)
	})
}

// drop notes that an attempt will not be continued, if there is one.
func (j *journal) drop(v snapshot.Version) error {
	i := slices.IndexFunc(j.begun(), func(a attempt) bool { return a.Version == v && !a.Dropped })
	if i < 0 {
		return nil
	}
	return j.change(func(s *journalState) { s.Begun[i].Dropped = true })
}

// forget drops an attempt of which nothing is left.
func (j *journal) forget(v snapshot.Version) error {
	return j.change(func(s *journalState) {
		s.Begun = slices.DeleteFunc(s.Begun, func(b attempt) bool { return b.Version == v })
	})
}

// publish notes the newest publication, which is then no attempt any more.
func (j *journal) publish(last published) error {
	return j.change(func(s *journalState) {
		s.Begun = slices.DeleteFunc(s.Begun, func(b attempt) bool { return b.Version == last.Version })
		s.Last = &last
		if last.Source != "" && (last.Source == j.watching || s.Watched != nil && s.Watched.Source == last.Source) {
			s.Watched = &last // perhaps by hand
		}
	})
}

// signing notes the record that is about to be signed.
func (j *journal) signing(u unsent) error {
	return j.change(func(s *journalState) { s.Unsent = &u })
}

// sent notes that the bucket holds that record.
func (j *journal) sent(seq int64) error {
	if u, ok := j.unsent(); !ok || u.Seq != seq {
		return nil
	}
	return j.change(func(s *journalState) { s.Unsent = nil })
}

// watch says which source is watched.
func (j *journal) watch(path string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.watching = path
}

// isLast reports whether a source looks like what was published last, or what was published last of a watched one.
func (j *journal) isLast(fingerprint string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, p := range []*published{j.state.Last, j.state.Watched} {
		if p != nil && p.Fingerprint == fingerprint && fingerprint != "" {
			return true
		}
	}
	return false
}

// replaced notes that what was published last from here did not stay the newest: its source counts as changed.
func (j *journal) replaced() error {
	last, ok := j.last()
	if !ok || last.Fingerprint == "" {
		return nil
	}
	last.Fingerprint = ""
	return j.change(func(s *journalState) { s.Last, s.Watched = &last, nil })
}

func (j *journal) unsent() (unsent, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.state.Unsent == nil {
		return unsent{}, false
	}
	return *j.state.Unsent, true
}

func (j *journal) change(f func(*journalState)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	next := j.state
	next.Format, next.Begun = journalVersion, slices.Clone(j.state.Begun)
	f(&next)
	b, err := json.MarshalIndent(next, "", "\t")
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if err := durable.WriteFile(j.path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	j.state = next
	return nil
}
