package publish

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// StoreSource finds the pointer in the bucket itself, with the publisher's credentials.
func StoreSource(s bucket.Store) pointer.Source {
	return getSource{name: "bucket", get: s.Get}
}

// PublicSource finds the pointer the way everybody else does.
func PublicSource(p Public) pointer.Source {
	return getSource{name: p.String(), get: p.Get}
}

type getSource struct {
	name string
	get  func(ctx context.Context, key string, limit int64) ([]byte, error)
}

func (s getSource) Name() string { return s.name }

func (s getSource) Lookup(ctx context.Context, ch snapshot.Channel) ([]pointer.Record, error) {
	b, err := s.get(ctx, bucket.PointerKey(ch.Salt), bucket.MaxPointerSize)
	if errors.Is(err, bucket.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	rec, err := pointer.ParseRecord(b)
	if err != nil {
		return nil, err
	}
	return []pointer.Record{rec}, nil
}

func sortObjects(objects []ObjectStatus) {
	slices.SortFunc(objects, func(a, b ObjectStatus) int { return cmp.Compare(a.Key, b.Key) })
}

func hexOf(sum [32]byte) string { return hex.EncodeToString(sum[:]) }
