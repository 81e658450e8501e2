package stack

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// Publication is what a pointer names.
type Publication struct {
	Record  pointer.Record
	Torrent *snapshot.Torrent
}

// Version is the version published.
func (p Publication) Version() snapshot.Version { return p.Torrent.Description.Version }

// Published waits until the storage has a pointer of the channel with a sequence number above seq, checks its signature
// and reads the torrent that it names. The process is the one that publishes; its end ends the waiting.
func (s *Stack) Published(ctx context.Context, by *Process, seq int64) (Publication, error) {
	var out Publication
	var last error
	err := by.Until(ctx, "done with publishing", func(ctx context.Context) bool {
		out, last = s.Newest(ctx)
		return last == nil && out.Record.Seq > seq
	})
	if err != nil && last != nil {
		err = fmt.Errorf("%w (%w)", err, last)
	}
	return out, err
}

// Newest reads the channel's pointer from the storage, as a stranger would, and the torrent that it names.
func (s *Stack) Newest(ctx context.Context) (Publication, error) {
	client, err := bucket.NewHTTPClient(bucket.Policy{Origins: []string{s.BucketURL()}, HeaderTimeout: 5 * time.Second})
	if err != nil {
		return Publication{}, err
	}
	defer client.CloseIdleConnections()
	return newest(ctx, s.BucketURL(), client, s.Channel)
}

func newest(ctx context.Context, base string, client *http.Client, ch snapshot.Channel) (Publication, error) {
	r, err := bucket.NewReader(base, client)
	if err != nil {
		return Publication{}, err
	}
	b, err := r.Pointer(ctx, ch.Salt)
	if err != nil {
		return Publication{}, err
	}
	rec, err := pointer.ParseRecord(b)
	if err != nil {
		return Publication{}, err
	}
	if err := rec.Verify(ch); err != nil {
		return Publication{}, err
	}
	p, err := rec.Pointer()
	if err != nil {
		return Publication{}, err
	}
	if b, err = r.Torrent(ctx, p.InfoHash); err != nil {
		return Publication{}, err
	}
	t, err := snapshot.ParseTorrent(b)
	if err != nil {
		return Publication{}, err
	}
	if t.InfoHash != p.InfoHash || t.Description == nil {
		return Publication{}, fmt.Errorf("the torrent at %s is not the snapshot that the pointer names", r.URL(bucket.InfoHashKey(p.InfoHash)))
	}
	return Publication{Record: rec, Torrent: t}, nil
}
