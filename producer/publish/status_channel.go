package publish

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
)

// inspectLease looks at the lease without taking part.
func inspectLease(ctx context.Context, salt string, store bucket.Store) *LeaseStatus {
	found, err := store.Find(ctx, bucket.LeaseKey(salt), maxLeaseSize)
	if errors.Is(err, bucket.ErrNotFound) {
		return &LeaseStatus{}
	}
	var r leaseRecord
	if err == nil {
		err = json.Unmarshal(found.Body, &r)
	}
	if err != nil {
		return &LeaseStatus{Error: err.Error()}
	}
	left := r.left(found)
	if left <= 0 {
		return &LeaseStatus{}
	}
	return &LeaseStatus{Holder: &r.Holder, Until: time.Now().Add(left).UTC().Truncate(time.Second)}
}

// newer are the versions after v of which archive and torrent lie in the bucket, the oldest first. A pointer comes last, so nothing
// but the producer knows of each whether it was withdrawn or is about to come out. A bucket that does not list has none.
func newer(ctx context.Context, salt string, v snapshot.Version, store bucket.Store) []string {
	parts := make(map[string]map[bucket.Kind]bool)
	for info, err := range store.List(ctx, bucket.ChannelPrefix(salt)) {
		if err != nil {
			return nil
		}
		o, err := bucket.ParseKey(info.Key)
		if err != nil || o.Version <= v {
			continue
		}
		name := string(o.Version)
		if parts[name] == nil {
			parts[name] = make(map[bucket.Kind]bool)
		}
		parts[name][o.Kind] = true
	}
	var whole []string
	for name, kinds := range parts {
		if kinds[bucket.KindArchive] && kinds[bucket.KindTorrent] {
			whole = append(whole, name)
		}
	}
	slices.Sort(whole)
	return whole
}
