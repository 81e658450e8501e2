package peer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"snapswarm/common/daemon"
	"snapswarm/common/durable"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
	"snapswarm/common/swarm"
)

// Holding is a version that lies on this disk, whole or in part, and is in the swarm.
type Holding struct {
	Channel snapshot.Channel
	Version snapshot.Version
	Torrent *snapshot.Torrent
	// Snapshot fetches and seeds it.
	Snapshot *swarm.Snapshot
}

const (
	torrentSuffix = ".torrent"
	channelFile   = "channel" // in the folder of a salt: the link of the channel that it belongs to
	// maxChannelFile is more than any link has.
	maxChannelFile = 1 << 10
)

// versionDir is the folder of everything that belongs to a version.
func (p *Peer) versionDir(salt string, v snapshot.Version) string {
	return filepath.Join(p.settings.DataDir, salt, string(v))
}

// ArchivePath is where the archive of a version lies.
func (p *Peer) ArchivePath(salt string, v snapshot.Version, file string) string {
	return filepath.Join(p.versionDir(salt, v), file)
}

// Holdings are the versions of a channel on this disk, newest first.
func (p *Peer) Holdings(salt string) []*Holding {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.holdings[salt])
}

// held finds the holding that a pointer names.
func (p *Peer) held(salt string, ptr pointer.Pointer) *Holding {
	for _, h := range p.Holdings(salt) {
		if ptr.Names(h.Torrent) {
			return h
		}
	}
	return nil
}

func (p *Peer) insert(h *Holding) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := append(slices.Clone(p.holdings[h.Channel.Salt]), h)
	slices.SortFunc(list, func(a, b *Holding) int { return strings.Compare(string(b.Version), string(a.Version)) })
	p.holdings[h.Channel.Salt] = list
}

// Adopt seeds an archive that the caller has just written and hashed; it lies at [Peer.ArchivePath].
func (p *Peer) Adopt(ctx context.Context, ch snapshot.Channel, v snapshot.Version, t *snapshot.Torrent) (*Holding, error) {
	return p.hold(ctx, ch, v, t, true)
}

// hold writes the torrent beside the archive, so that a restart finds it, and adds it to the swarm.
func (p *Peer) hold(ctx context.Context, ch snapshot.Channel, v snapshot.Version, t *snapshot.Torrent, have bool) (*Holding, error) {
	dir := p.versionDir(ch.Salt, v)
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("hold %s %s: %w", ch.Salt, v, err)
	}
	if err := durable.WriteFile(filepath.Join(dir, t.Name+torrentSuffix), t.Encode(), 0o644); err != nil {
		return nil, fmt.Errorf("hold %s %s: %w", ch.Salt, v, err)
	}
	return p.add(ctx, ch, v, t, have)
}

func (p *Peer) add(ctx context.Context, ch snapshot.Channel, v snapshot.Version, t *snapshot.Torrent, have bool) (*Holding, error) {
	s, err := p.client.Add(ctx, swarm.AddOptions{
		Torrent: t, Dir: p.versionDir(ch.Salt, v), Origins: p.origins(ch.Salt, v, t), Have: have,
	})
	if err != nil {
		return nil, fmt.Errorf("hold %s %s: %w", ch.Salt, v, err)
	}
	h := &Holding{Channel: ch, Version: v, Torrent: t, Snapshot: s}
	p.insert(h)
	return h, nil
}

// Discard stops seeding h and removes it from disk. If it fails before that can be undone, nothing has changed and it may be
// called again; if it fails later, h is no holding any more, and the next start removes the rest.
func (p *Peer) Discard(_ context.Context, h *Holding) error {
	gone, err := p.retire(h.Channel.Salt, h.Version)
	if err != nil {
		return fmt.Errorf("discard %s %s: %w", h.Channel.Salt, h.Version, err)
	}
	p.mu.Lock()
	p.holdings[h.Channel.Salt] = slices.DeleteFunc(p.holdings[h.Channel.Salt], func(o *Holding) bool { return o == h })
	p.mu.Unlock()
	_ = h.Snapshot.Remove(false) // whether its last bytes got to the disk does not matter any more
	if err := erase(gone); err != nil {
		return fmt.Errorf("discard %s %s: %w", h.Channel.Salt, h.Version, err)
	}
	return nil
}

// loadHoldings seeds what lies on disk of the channels. A version that cannot be used is left alone
// and reported: the rest must not wait for it.
func (p *Peer) loadHoldings(ctx context.Context) error {
	for _, ch := range p.channels {
		p.tidy(ctx, ch.Salt)
		if err := p.claim(ch); err != nil {
			return err
		}
		entries, err := os.ReadDir(filepath.Join(p.settings.DataDir, ch.Salt))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look for versions of %s: %w", ch.Salt, err)
		}
		for _, e := range entries {
			v, err := snapshot.ParseVersion(e.Name())
			if err != nil || !e.IsDir() {
				continue
			}
			if err := p.loadVersion(ctx, ch, v); err != nil {
				p.log.WarnContext(ctx, "version on disk cannot be used", "channel", ch.Salt, "version", v, "error", err)
			}
		}
	}
	return nil
}

// setAside moves a damaged file out of the way. The error is then that it does not exist.
func (p *Peer) setAside(path, what string, cause error) error {
	aside, err := durable.SetAside(path)
	if err != nil {
		return err
	}
	p.log.Warn("a file was damaged and is set aside", "file", aside, "about", what, "error", cause)
	return fs.ErrNotExist
}

// claim binds the folder of a salt to one channel: another publisher's versions must not be served as
// those of this one because the operator kept the folder.
func (p *Peer) claim(ch snapshot.Channel) error {
	dir := filepath.Join(p.settings.DataDir, ch.Salt)
	path := filepath.Join(dir, channelFile)
	b, err := durable.ReadFile(path, maxChannelFile)
	if _, e := snapshot.ParseChannel(strings.TrimSpace(string(b))); errors.Is(err, durable.ErrDamaged) || err == nil && e != nil {
		err = p.setAside(path, "which channel the folder belongs to", errors.Join(err, e))
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err = durable.MkdirAll(dir, 0o755); err == nil {
			err = durable.WriteFile(path, []byte(ch.String()+"\n"), 0o644)
		}
	case err == nil && strings.TrimSpace(string(b)) != ch.String():
		return daemon.Usagef("%s belongs to another channel (%s): choose another DATA_DIR, or remove that folder", dir, strings.TrimSpace(string(b)))
	}
	if err != nil {
		return daemon.WithCode(daemon.ExitDisk, fmt.Errorf("claim folder of channel %s: %w", ch.Salt, err))
	}
	return nil
}

func (p *Peer) loadVersion(ctx context.Context, ch snapshot.Channel, v snapshot.Version) error {
	names, err := filepath.Glob(filepath.Join(p.versionDir(ch.Salt, v), "*"+torrentSuffix))
	if err != nil || len(names) == 0 {
		return err // being written when the process ended: not a version yet
	}
	t, err := readTorrent(names[0])
	if err == nil {
		err = p.recorded(t, ch, v)
	}
	if err != nil { // the pointer that names the version brings another torrent, and the data stays
		return errors.Join(err, p.setAside(names[0], "the torrent of "+string(v), err))
	}
	_, err = p.add(ctx, ch, v, t, false)
	return err
}

// recorded finds out whether t can be what the version was downloaded by: a torrent that was damaged on disk and can still be read is
// another one, whose hashes would throw the data away.
func (p *Peer) recorded(t *snapshot.Torrent, ch snapshot.Channel, v snapshot.Version) error {
	records, err := filepath.Glob(filepath.Join(p.versionDir(ch.Salt, v), ".*.pieces"))
	if err != nil || len(records) == 0 {
		return err
	}
	if own := "." + t.InfoHash.String() + ".pieces"; !slices.ContainsFunc(records, func(r string) bool { return filepath.Base(r) == own }) {
		return fmt.Errorf("%w: its info-hash %s is not the one of the data beside it", snapshot.ErrBadTorrent, t.InfoHash)
	}
	return nil
}

func readTorrent(path string) (*snapshot.Torrent, error) {
	b, err := durable.ReadFile(path, snapshot.MaxTorrentSize)
	if err != nil {
		return nil, err
	}
	t, err := snapshot.ParseTorrent(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return t, nil
}

// versionOf names a snapshot: as its publisher did, else (torrents of other publishers) by the time of the pointer that led to it,
// or, where sequence numbers are no times, by the time at which it is seen here first. No version gets the name of another.
func (p *Peer) versionOf(salt string, rec pointer.Record, t *snapshot.Torrent) snapshot.Version {
	if t.Description != nil {
		return t.Description.Version
	}
	at := rec.Time()
	if !rec.Timed() {
		at = time.Now()
	}
	for {
		v := snapshot.NewVersion(at, 0)
		if !slices.ContainsFunc(p.Holdings(salt), func(h *Holding) bool { return h.Version == v }) {
			return v
		}
		at = at.Add(time.Second)
	}
}
