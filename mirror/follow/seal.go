package follow

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"snapswarm/common/durable"
	"snapswarm/common/snapshot"
)

// maxSeal is how much of a seal is read.
const maxSeal = 1 << 10

// seals is a folder with a small file per archive that passed its check as a whole. It is a cache: what is missing
// or unreadable in it is only checked again.
type seals struct {
	dir string
	log *slog.Logger
}

func sealsOf(dataDir, salt string, log *slog.Logger) seals {
	return seals{filepath.Join(dataDir, salt, ".verified"), log}
}

func (s seals) path(ih snapshot.InfoHash) string { return filepath.Join(s.dir, ih.String()) }

// put is durable on return.
func (s seals) put(ih snapshot.InfoHash, m mark) error {
	b, err := json.Marshal(m)
	if err == nil {
		err = durable.MkdirAll(s.dir, 0o755)
	}
	if err == nil {
		err = durable.WriteFile(s.path(ih), b, 0o644)
	}
	if err != nil {
		return fmt.Errorf("%w: remember that %s is verified: %w", ErrDisk, ih, err)
	}
	return nil
}

// get fails when there is none that can be read.
func (s seals) get(ih snapshot.InfoHash) (m mark, err error) {
	b, err := durable.ReadFile(s.path(ih), maxSeal)
	if errors.Is(err, fs.ErrNotExist) {
		return m, errNoSeal
	}
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		aside, e := durable.SetAside(s.path(ih))
		s.log.Warn("a seal was damaged and is set aside: the archive is hashed again", "file", aside, "error", errors.Join(err, e))
	}
	return m, err
}

// drop forgets ih, durably.
func (s seals) drop(ih snapshot.InfoHash) error {
	err := os.Remove(s.path(ih))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = durable.SyncDir(s.dir)
	}
	if err != nil {
		return fmt.Errorf("forget that %s was verified: %w", ih, err)
	}
	return nil
}
