package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/durable"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// Keeping is what a [Retention] is planned from.
type Keeping struct {
	Channel snapshot.Channel
	// DataDir holds the snapshots and the publisher's own state.
	DataDir string
	// Store is asked for versions and for the pointer, and has to answer.
	Store bucket.Store
	// Sources are other places with pointers. One that cannot be asked names nothing. Those in Slow are asked only if
	// something would go.
	Sources, Slow []pointer.Source
	// Keep is how many versions stay, the newest included.
	Keep int
	Now  time.Time
	Log  *slog.Logger
}

// slowAnswer is how long the DHT may take to say which pointers it holds.
const slowAnswer = 20 * time.Second

// PlanRetention looks at everything and changes nothing. It needs neither the key nor the right to publish. Errors are
// those of the store, and of a disk that cannot be read.
func PlanRetention(ctx context.Context, k Keeping) (Retention, error) {
	s, err := k.pointedStock(ctx)
	if err != nil {
		return Retention{}, err
	}
	out := s.plan(k.Keep, k.Now)
	out.Channel = k.Channel.String()
	return out, nil
}

// pointedStock is everything that a plan is made from.
func (k Keeping) pointedStock(ctx context.Context) (stock, error) {
	s, err := k.stock(ctx)
	if err != nil {
		return s, err
	}
	own, err := bucket.PointerSource(k.Store).Lookup(ctx, k.Channel)
	if err != nil && !errors.Is(err, pointer.ErrMalformed) && !errors.Is(err, pointer.ErrTooLarge) { // a damaged one is none
		return s, err
	}
	var records []found
	for _, rec := range own {
		records = append(records, found{"the bucket", rec})
	}
	records = append(records, k.ask(ctx, k.Sources)...)
	s.point(k.Channel, records, k.Now)
	if len(s.plan(k.Keep, k.Now).Leaving()) > 0 {
		records = append(records, k.ask(ctx, k.Slow)...)
		s.point(k.Channel, records, k.Now)
	}
	if ctx.Err() != nil {
		return s, context.Cause(ctx)
	}
	return s, nil
}

// found is a record and where it was.
type found struct {
	where  string
	record pointer.Record
}

func (k Keeping) ask(ctx context.Context, sources []pointer.Source) []found {
	ctx, cancel := context.WithTimeout(ctx, slowAnswer)
	defer cancel()
	var out []found
	for _, src := range sources {
		records, err := src.Lookup(ctx, k.Channel)
		if err != nil {
			k.Log.DebugContext(ctx, "a source of pointers cannot be asked", "channel", k.Channel.Salt, "source", src.Name(), "error", err)
		}
		for _, rec := range records {
			out = append(out, found{src.Name(), rec})
		}
	}
	return out
}

// point takes in what the valid ones among some records name.
func (s *stock) point(ch snapshot.Channel, records []found, now time.Time) {
	var newest int64
	s.newest, s.named = snapshot.InfoHash{}, make(map[snapshot.InfoHash]string)
	for _, f := range records {
		p, err := f.record.Pointer()
		if err != nil || f.record.Verify(ch) != nil {
			continue
		}
		if f.record.Seq > newest {
			newest, s.newest, s.height = f.record.Seq, p.InfoHash, p.Height
		}
		if !p.Stale(now) && s.named[p.InfoHash] == "" {
			s.named[p.InfoHash] = f.where
		}
	}
}

// stock lists the bucket and this disk.
func (k Keeping) stock(ctx context.Context) (s stock, err error) {
	objects := make(map[snapshot.Version][]bucket.Info)
	for info, err := range k.Store.List(ctx, bucket.ChannelPrefix(k.Channel.Salt)) {
		if err != nil {
			return s, err
		}
		o, err := bucket.ParseKey(info.Key)
		switch {
		case err != nil:
			s.foreign = append(s.foreign, info.Key)
		case o.Version != "":
			objects[o.Version] = append(objects[o.Version], info)
		}
	}
	disk, err := versionsOnDisk(filepath.Join(k.DataDir, k.Channel.Salt))
	if err != nil {
		return s, err
	}
	for v := range disk {
		if _, ok := objects[v]; !ok {
			objects[v] = nil
		}
	}
	for v, infos := range objects {
		h, err := k.look(ctx, v, infos, disk[v])
		if err != nil {
			return s, err
		}
		s.held = append(s.held, h)
	}
	s.begun, err = begunIn(k.DataDir, k.Channel.Salt)
	return s, err
}

// look describes one version. The objects go in this order: first the copies of the torrents by info-hash, whose names
// only the torrents tell, then everything else, then the torrents, so that an interrupted removal can go on.
func (k Keeping) look(ctx context.Context, v snapshot.Version, infos []bucket.Info, onDisk int64) (holding, error) {
	h := holding{version: v, onDisk: onDisk}
	if len(infos) == 0 {
		h.describe(torrentOnDisk(filepath.Join(k.DataDir, k.Channel.Salt, string(v))))
		return h, nil
	}
	var hashes, rest, torrents []string
	archives, readable := make(map[string]int64), map[string]*snapshot.Torrent{}
	for _, info := range infos {
		h.stored += info.Size
		if info.Modified.After(h.modified) {
			h.modified = info.Modified
		}
		o, _ := bucket.ParseKey(info.Key) // it was read before
		if o.Kind != bucket.KindTorrent {
			rest = append(rest, info.Key)
			if o.Kind == bucket.KindArchive {
				archives[o.File] = info.Size
			}
			continue
		}
		torrents = append(torrents, info.Key)
		t, err := readTorrent(ctx, k.Store, info.Key)
		if err != nil {
			return h, err
		}
		if t != nil {
			hashes = append(hashes, bucket.InfoHashKey(t.InfoHash))
		}
		if o.From == "" {
			readable[o.File] = t
		}
	}
	h.objects = append(append(hashes, rest...), torrents...)
	h.state = stateOf(archives, readable)
	for _, t := range readable {
		h.describe(t)
	}
	return h, nil
}

// stateOf tells from the archives and their torrents, nil for those that cannot be read, how much of a version is there.
func stateOf(archives map[string]int64, torrents map[string]*snapshot.Torrent) holdingState {
	for file, t := range torrents {
		size, ok := archives[file]
		if ok && (t == nil || t.Length == size) {
			return whole
		}
	}
	if len(torrents) > 0 {
		return remnant
	}
	return uploading
}

func (h *holding) describe(t *snapshot.Torrent) {
	if t == nil {
		return
	}
	h.infoHash = t.InfoHash
	if d := t.Description; d != nil && d.Version == h.version {
		h.previous, h.promise = d.Previous, d.Retain
	}
}

// readTorrent is nil for one that is gone or damaged: that must not keep the rest alive.
func readTorrent(ctx context.Context, store bucket.Store, key string) (*snapshot.Torrent, error) {
	b, err := store.Get(ctx, key, snapshot.MaxTorrentSize)
	if err == nil {
		var t *snapshot.Torrent
		if t, err = snapshot.ParseTorrent(b); err == nil {
			return t, nil
		}
	}
	if errors.Is(err, snapshot.ErrBadTorrent) || errors.Is(err, bucket.ErrNotFound) || errors.Is(err, bucket.ErrTooLarge) {
		return nil, nil //nolint:nilnil // as said above
	}
	return nil, err
}

// versionsOnDisk are the folders of versions in dir and how many bytes their files have.
func versionsOnDisk(dir string) (map[snapshot.Version]int64, error) {
	sizes := make(map[snapshot.Version]int64)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for versions: %w", err)
	}
	for _, e := range entries {
		v, err := snapshot.ParseVersion(e.Name())
		if err != nil || !e.IsDir() {
			continue
		}
		sizes[v] = 0
		files, err := os.ReadDir(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("look for versions: %w", err)
		}
		for _, f := range files {
			if info, err := f.Info(); err == nil && info.Mode().IsRegular() {
				sizes[v] += info.Size()
			}
		}
	}
	return sizes, nil
}

// torrentOnDisk is the torrent in the folder of a version, nil if there is none that can be read.
func torrentOnDisk(dir string) *snapshot.Torrent {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".torrent") {
			continue
		}
		b, err := durable.ReadFile(filepath.Join(dir, e.Name()), snapshot.MaxTorrentSize)
		if err != nil {
			continue
		}
		if t, err := snapshot.ParseTorrent(b); err == nil {
			return t
		}
	}
	return nil
}

// begunIn reads from a journal, which another process may be writing, what was begun and not finished.
func begunIn(dataDir, salt string) ([]snapshot.Version, error) {
	b, err := durable.ReadFile(filepath.Join(dataDir, stateDir, salt, journalName), maxJournal)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	var st journalState
	_ = json.Unmarshal(b, &st) // the publisher sets a damaged one aside
	var begun []snapshot.Version
	for _, a := range st.Begun {
		begun = append(begun, a.Version)
	}
	return begun, nil
}
