package pointer

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"snapswarm/common/durable"
	"snapswarm/common/snapshot"
)

// Ratchet remembers on disk the newest record that was accepted of each channel, in one small file
// per channel, so that nobody can lead a reader back to an older snapshot, also across restarts, and
// a restart knows the newest pointer while every source is away.
//
// It may be used by several goroutines. One directory belongs to one process.
type Ratchet struct {
	dir string
	log *slog.Logger

	mu     sync.Mutex
	states map[snapshot.Channel]*state // what the files hold; guarded by mu
}

// state is what the file of one channel holds. Records in it are verified.
type state struct {
	accepted *Record
	conflict *conflict
}

// OpenRatchet opens the ratchet that lives in dir, which it creates when it is missing.
func OpenRatchet(dir string, log *slog.Logger) (*Ratchet, error) {
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open pointer ratchet: %w", err)
	}
	if err := durable.RemoveTemps(dir); err != nil {
		return nil, fmt.Errorf("open pointer ratchet: %w", err)
	}
	return &Ratchet{dir: dir, log: log, states: make(map[snapshot.Channel]*state)}, nil
}

// Accept lets rec become the newest record of ch. When it returns nil, rec is on disk (or was
// already) and may be acted upon.
//
// It fails with [ErrOlder] when a newer record was accepted before, with [ErrConflict] when another
// value with the same sequence number was (both are then recorded as evidence), with [ErrFuture] when
// rec is too far ahead of now, with the errors of [Record.Verify] and [Record.Pointer], and with any
// other error when the disk refuses; nothing changes then.
func (r *Ratchet) Accept(ch snapshot.Channel, rec Record, now time.Time) error {
	if err := check(ch, rec, now); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	st, err := r.load(ch)
	if err != nil {
		return err
	}
	switch last := st.accepted; {
	case last == nil || rec.Seq > last.Seq:
		return r.save(ch, &state{accepted: &rec, conflict: st.conflict})
	case rec.Seq < last.Seq:
		return fmt.Errorf("%w: seq %d, signed %s; accepted was %d, signed %s", ErrOlder, rec.Seq, stamp(rec), last.Seq, stamp(*last))
	case rec.Equal(*last):
		return nil
	default:
		return r.conflict(ch, st, rec)
	}
}

// check is everything that can be said of a record without knowing others.
func check(ch snapshot.Channel, rec Record, now time.Time) error {
	if err := rec.Verify(ch); err != nil {
		return err
	}
	if err := rec.CheckTime(now); err != nil {
		return err
	}
	_, err := rec.Pointer()
	return err
}

// conflict records the evidence once and refuses rec. Caller holds r.mu.
func (r *Ratchet) conflict(ch snapshot.Channel, st *state, rec Record) error {
	c := conflict{first: *st.accepted, second: rec}
	err := &conflictError{conflict: c}
	if st.conflict != nil && st.conflict.first.Seq == rec.Seq {
		return err
	}
	if e := r.save(ch, &state{accepted: st.accepted, conflict: &c}); e != nil {
		return errors.Join(err, e)
	}
	return err
}

func stamp(rec Record) string { return rec.Time().Format(time.RFC3339) }

// Last is the newest record accepted of ch; ok is false when there is none.
func (r *Ratchet) Last(ch snapshot.Channel) (rec Record, ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st, err := r.load(ch)
	if err != nil || st.accepted == nil {
		return Record{}, false, err
	}
	return *st.accepted, true, nil
}

// Conflict is the latest evidence of [ErrConflict]: the record that was accepted first and the one
// that was refused. It stays after a higher record was accepted.
func (r *Ratchet) Conflict(ch snapshot.Channel) (first, second Record, ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st, err := r.load(ch)
	if err != nil || st.conflict == nil {
		return Record{}, Record{}, false, err
	}
	return st.conflict.first, st.conflict.second, true, nil
}

// path is the file of ch. Key and salt are in its name, so channels never share one.
func (r *Ratchet) path(ch snapshot.Channel) string {
	return filepath.Join(r.dir, ch.Salt+"-"+hex.EncodeToString(ch.Key[:])+".ratchet")
}

// load returns the state of ch, from memory or disk. Caller holds r.mu.
func (r *Ratchet) load(ch snapshot.Channel) (*state, error) {
	if st := r.states[ch]; st != nil {
		return st, nil
	}
	if err := snapshot.CheckSalt(ch.Salt); err != nil { // the salt becomes a file name
		return nil, fmt.Errorf("pointer ratchet: %w", err)
	}
	b, err := durable.ReadFile(r.path(ch), maxStateSize)
	if errors.Is(err, fs.ErrNotExist) {
		return &state{}, nil
	}
	if err != nil && !errors.Is(err, durable.ErrDamaged) {
		return nil, fmt.Errorf("read pointer ratchet: %w", err)
	}
	var st *state
	if err == nil {
		st, err = parseState(b, ch)
	}
	if errors.Is(err, errStateVersion) {
		return nil, fmt.Errorf("read pointer ratchet %s: %w", r.path(ch), err)
	}
	if err != nil {
		return r.setAside(ch, err)
	}
	r.states[ch] = st
	return st, nil
}

// setAside moves a damaged file out of the way, so that the channel can be followed again. Caller
// holds r.mu.
func (r *Ratchet) setAside(ch snapshot.Channel, cause error) (*state, error) {
	aside, err := durable.SetAside(r.path(ch))
	if err != nil {
		return nil, fmt.Errorf("damaged pointer ratchet: %w", err)
	}
	r.log.ErrorContext(context.Background(), "pointer ratchet was damaged and is set aside; an older pointer could be accepted once",
		"channel", ch.Salt, "file", aside, "error", cause)
	return &state{}, nil
}

// save makes st durable, then visible. Caller holds r.mu.
func (r *Ratchet) save(ch snapshot.Channel, st *state) error {
	if err := durable.WriteFile(r.path(ch), st.encode(), 0o644); err != nil {
		return fmt.Errorf("save pointer ratchet: %w", err)
	}
	r.states[ch] = st
	return nil
}
