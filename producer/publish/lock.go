package publish

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"snapswarm/common/durable"
)

const (
	stateDir  = ".producer" // no salt begins with a dot
	lockName  = "lock"
	ownerName = "owner"
	maxHolder = 4 << 10
)

// lock is the right of one process to publish a channel from a data directory. The kernel gives it back when the
// process ends, however it ends.
type lock struct{ file *os.File }

// acquire takes the lock in dir or fails with a [HeldError].
func acquire(dir, salt string) (*lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := lockFile(f); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &HeldError{Salt: salt, Holder: readHolder(f)}
		}
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	if err := writeHolder(f); err != nil {
		return nil, errors.Join(fmt.Errorf("write lock: %w", err), f.Close())
	}
	return &lock{file: f}, nil
}

// lockFile tries for a moment, because [HolderOf] holds the lock for an instant when nobody else does.
func lockFile(f *os.File) (err error) {
	for range 10 {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// release gives the lock back. The file stays: removing it would let two processes lock two different ones.
func (l *lock) release() error { return errors.Join(l.file.Truncate(0), l.file.Close()) }

func writeHolder(f *os.File) error {
	b, err := json.Marshal(thisProcess())
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	return err
}

func thisProcess() Holder {
	host, _ := os.Hostname()
	return Holder{PID: os.Getpid(), Host: host, Command: command(), Since: time.Now().UTC().Truncate(time.Second)}
}

// command names this process for people: program and subcommand, no values that could be secret.
func command() string {
	name := filepath.Base(os.Args[0])
	if len(os.Args) > 1 && len(os.Args[1]) < 16 && os.Args[1] != "" && os.Args[1][0] != '-' {
		name += " " + os.Args[1]
	}
	return name
}

func readHolder(f *os.File) Holder {
	var h Holder
	if b, err := io.ReadAll(io.LimitReader(f, maxHolder)); err == nil {
		_ = json.Unmarshal(b, &h) // a holder that is just writing its name stays unknown
	}
	return h
}

// HolderOf reports which process publishes the channel of that name from dataDir; ok is false when none does.
func HolderOf(dataDir, salt string) (h Holder, ok bool, err error) {
	f, err := os.Open(filepath.Join(StateDir(dataDir, salt), lockName))
	if errors.Is(err, os.ErrNotExist) {
		return Holder{}, false, nil
	}
	if err != nil {
		return Holder{}, false, fmt.Errorf("look at lock: %w", err)
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return readHolder(f), true, nil
	}
	return Holder{}, false, err
}

// ownerOf is the random name of a publisher's folder, by which it knows its own lease again. It is made at the first call.
func ownerOf(dir string) (string, error) {
	path := filepath.Join(dir, ownerName)
	b, err := durable.ReadFile(path, maxHolder)
	if errors.Is(err, durable.ErrDamaged) { // another name waits for the end of the lease at most
		_, err = durable.SetAside(path)
	}
	if name := strings.TrimSpace(string(b)); err == nil && name != "" {
		return name, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read owner: %w", err)
	}
	name := rand.Text()
	if err := durable.WriteFile(path, []byte(name+"\n"), 0o644); err != nil {
		return "", fmt.Errorf("write owner: %w", err)
	}
	return name, nil
}

// StateDir is where a publisher keeps its own state.
func StateDir(dataDir, salt string) string { return filepath.Join(dataDir, stateDir, salt) }

// openState makes the publisher's own folder.
func openState(dataDir, salt string) (string, error) {
	dir := StateDir(dataDir, salt)
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("create state folder: %w", err)
	}
	return dir, nil
}
