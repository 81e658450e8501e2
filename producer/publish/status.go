package publish

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// Status is what the world knows of a channel.
type Status struct {
	Channel string          `json:"channel"`
	Name    string          `json:"name"`
	Holder  *Holder         `json:"publisher,omitempty"` // the process that publishes it from this data directory
	Lease   *LeaseStatus    `json:"lease,omitempty"`     // of the bucket; nil where there is none to look into
	Sources []SourceStatus  `json:"sources"`
	Newest  *SnapshotStatus `json:"newest,omitempty"`
}

// SourceStatus is what one source says of the channel's pointer.
type SourceStatus struct {
	Name     string    `json:"name"`
	Seq      int64     `json:"seq,omitempty"` // 0: none found
	Signed   time.Time `json:"signed,omitzero"`
	Expires  time.Time `json:"expires,omitzero"`
	InfoHash string    `json:"info_hash,omitempty"`
	Error    string    `json:"error,omitempty"`

	pointer pointer.Pointer
	err     error
	bucket  bool // the producer's own, not its public address
}

// SnapshotStatus is the snapshot that the newest pointer names.
type SnapshotStatus struct {
	InfoHash string         `json:"info_hash"`
	Created  time.Time      `json:"created,omitzero"`
	Expires  time.Time      `json:"expires,omitzero"`
	Height   uint64         `json:"height,omitempty"`
	BaseURL  string         `json:"base_url,omitempty"`
	Version  string         `json:"version,omitempty"` // from here on empty when the torrent was not found
	File     string         `json:"file,omitempty"`
	Size     int64          `json:"size,omitempty"`
	RawSize  int64          `json:"raw_size,omitempty"`
	SHA256   string         `json:"sha256,omitempty"`
	Previous string         `json:"previous,omitempty"`
	URL      string         `json:"url,omitempty"`
	Objects  []ObjectStatus `json:"objects,omitempty"`
	Newer    []string       `json:"newer,omitempty"` // versions whole in the bucket that were withdrawn, or are on their way
	Error    string         `json:"error,omitempty"` // why the torrent was not found
}

// LeaseStatus says which producer of all machines has the channel.
type LeaseStatus struct {
	Holder *Holder   `json:"holder,omitempty"` // nil when none has it
	Until  time.Time `json:"until,omitzero"`   // when another one may take it, unless it is renewed; by the clock of this machine
	Error  string    `json:"error,omitempty"`  // why it cannot be told
}

// ObjectStatus tells whether an object lies in the bucket.
type ObjectStatus struct {
	Key   string `json:"key"`
	Size  int64  `json:"size"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// Err is nil when the channel has a pointer that may be followed and has not expired. Otherwise it wraps
// pointer.ErrNotFound, pointer.ErrAllRefused or [ErrStale]; or, before those, the error of a bucket that cannot be asked.
func (s Status) Err(now time.Time) error {
	for _, src := range s.Sources {
		if src.bucket && (errors.Is(src.err, bucket.ErrUnreachable) || errors.Is(src.err, bucket.ErrDenied)) {
			return src.err
		}
	}
	newest := s.newest()
	if newest != nil {
		if newest.pointer.Stale(now) {
			return ErrStale
		}
		return nil
	}
	for _, src := range s.Sources {
		if src.err != nil && src.Seq > 0 {
			return errors.Join(pointer.ErrAllRefused, src.err)
		}
	}
	return fmt.Errorf("%w: channel %s: %s", pointer.ErrNotFound, s.Name, s.advice())
}

// advice is what to do without a pointer.
func (s Status) advice() string {
	failed := 0
	for _, src := range s.Sources {
		if src.err != nil {
			failed++
		}
	}
	switch {
	case len(s.Sources) == 0:
		return "there is nowhere to look; set BUCKET, PUBLIC_URL or DHT_BOOTSTRAP"
	case failed > 0:
		return fmt.Sprintf("%d of %d sources could not be asked; mend that first, or try again", failed, len(s.Sources))
	}
	return "producer publish PATH makes the first; if there should be one, check CHANNEL or DHT_SALT, and BUCKET or PUBLIC_URL"
}

// ErrStale means that the newest pointer has expired: no publisher has renewed it.
var ErrStale = errors.New("the newest pointer has expired; start producer serve to renew it")

func (s Status) newest() *SourceStatus {
	var best *SourceStatus
	for i, src := range s.Sources {
		if src.err == nil && src.Seq > 0 && (best == nil || src.Seq > best.Seq) {
			best = &s.Sources[i]
		}
	}
	return best
}

// Inspect asks every source for the newest pointer of ch, and store and public (either may be nil) for what it names. It
// changes nothing and needs no key.
func Inspect(ctx context.Context, ch snapshot.Channel, sources []pointer.Source, store bucket.Store, public Public) Status {
	s := Status{Channel: ch.String(), Name: ch.Salt, Sources: make([]SourceStatus, len(sources))}
	var g errgroup.Group
	for i, src := range sources {
		g.Go(func() error {
			s.Sources[i] = ask(ctx, src, ch)
			s.Sources[i].bucket = store != nil && src.Name() == store.String()
			return nil
		})
	}
	if store != nil {
		g.Go(func() error { s.Lease = inspectLease(ctx, ch.Salt, store); return nil })
	}
	_ = g.Wait() // its functions return none
	if best := s.newest(); best != nil {
		s.Newest = inspectSnapshot(ctx, ch.Salt, best.pointer, store, public)
	}
	return s
}

// ask takes the newest valid record of a source; with none that is valid, the reason why.
func ask(ctx context.Context, src pointer.Source, ch snapshot.Channel) SourceStatus {
	st := SourceStatus{Name: src.Name()}
	records, err := src.Lookup(ctx, ch)
	st.err = err
	for _, rec := range records[:min(len(records), pointer.MaxAnswers)] {
		p, err := rec.Pointer()
		if e := rec.Verify(ch); e != nil {
			err = e
		}
		if better := rec.Seq > st.Seq || st.err != nil; st.Seq != 0 && (err != nil || !better) {
			continue
		}
		st.Seq, st.Signed, st.err, st.pointer = rec.Seq, rec.Time(), err, p
		st.Expires, st.InfoHash = p.Expires, p.InfoHash.String()
	}
	if st.err != nil {
		st.Error = st.err.Error()
	}
	return st
}

func inspectSnapshot(ctx context.Context, salt string, p pointer.Pointer, store bucket.Store, public Public) *SnapshotStatus {
	s := &SnapshotStatus{
		InfoHash: p.InfoHash.String(), Created: p.Created, Expires: p.Expires, Height: p.Height, BaseURL: p.BaseURL,
	}
	t, err := findTorrent(ctx, p, store, public)
	if err != nil {
		s.Error = err.Error()
		return s
	}
	s.File, s.Size = t.Name, t.Length
	if len(t.Origins) > 0 {
		s.URL = t.Origins[0]
	}
	d := t.Description
	if d == nil {
		return s
	}
	s.Version, s.RawSize, s.SHA256 = string(d.Version), d.RawSize, hexOf(d.SHA256)
	if !d.Previous.IsZero() {
		s.Previous = d.Previous.String()
	}
	if store == nil {
		return s
	}
	for key, size := range map[string]int64{
		bucket.ArchiveKey(salt, d.Version, t.Name): t.Length,
		bucket.TorrentKey(salt, d.Version, t.Name): int64(len(t.Encode())),
		bucket.InfoHashKey(t.InfoHash):             int64(len(t.Encode())),
	} {
		s.Objects = append(s.Objects, inspectObject(ctx, store, key, size))
	}
	sortObjects(s.Objects)
	s.Newer = newer(ctx, salt, d.Version, store)
	return s
}

func findTorrent(ctx context.Context, p pointer.Pointer, store bucket.Store, public Public) (*snapshot.Torrent, error) {
	key := bucket.InfoHashKey(p.InfoHash)
	var b []byte
	err := errors.New("there is neither a bucket nor a public address to read the torrent from")
	switch {
	case store != nil:
		b, err = store.Get(ctx, key, snapshot.MaxTorrentSize)
	case public != nil:
		b, err = public.Get(ctx, key, snapshot.MaxTorrentSize)
	}
	if err != nil {
		return nil, err
	}
	t, err := snapshot.ParseTorrent(b)
	if err == nil && !p.Names(t) {
		err = errors.New("the torrent stored for it is another one")
	}
	return t, err
}

func inspectObject(ctx context.Context, store bucket.Store, key string, size int64) ObjectStatus {
	o := ObjectStatus{Key: key}
	info, err := store.Stat(ctx, key)
	switch {
	case err != nil:
		o.Error = err.Error()
	case info.Size != size:
		o.Size, o.Error = info.Size, "has another size than was signed"
	default:
		o.Size, o.OK = info.Size, true
	}
	return o
}

func sortObjects(objects []ObjectStatus) {
	slices.SortFunc(objects, func(a, b ObjectStatus) int { return cmp.Compare(a.Key, b.Key) })
}

func hexOf(sum [32]byte) string { return hex.EncodeToString(sum[:]) }
