package bucket

import (
	"context"
	"errors"
	"fmt"

	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// Getter reads small objects: a [Store], or a [Reader] of a public address.
type Getter interface {
	Get(ctx context.Context, key string, limit int64) ([]byte, error)
	// String names it for people.
	String() string
}

// PointerSource finds a channel's pointer where g keeps it. A missing object is no error: the source has none then.
func PointerSource(g Getter) pointer.Source { return pointerSource{g} }

type pointerSource struct{ from Getter }

func (s pointerSource) Name() string { return s.from.String() }

func (s pointerSource) Lookup(ctx context.Context, ch snapshot.Channel) ([]pointer.Record, error) {
	b, err := s.from.Get(ctx, PointerKey(ch.Salt), MaxPointerSize)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if errors.Is(err, ErrTooLarge) {
		return nil, fmt.Errorf("%w: %w", pointer.ErrTooLarge, err) // there is something, and it is refused
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
