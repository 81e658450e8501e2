package peer

import (
	"context"
	"errors"
	"net/http"

	"snapswarm/common/bucket"
	"snapswarm/common/pointer"
	"snapswarm/common/snapshot"
)

// bucketSource reads pointers from a bucket or gateway that the operator configured.
type bucketSource struct{ reader *bucket.Reader }

func (s bucketSource) Name() string { return s.reader.String() }

func (s bucketSource) Lookup(ctx context.Context, ch snapshot.Channel) ([]pointer.Record, error) {
	return readPointer(ctx, s.reader, ch)
}

// signedSource reads the pointer where the newest one that was accepted says that it lies. A process
// that was once told about a channel so finds its next snapshot while the DHT does not answer.
type signedSource struct {
	ratchet *pointer.Ratchet
	client  *http.Client
	known   func(base string) bool // already asked as a bucketSource
}

func (s signedSource) Name() string { return "signed base URL" }

func (s signedSource) Lookup(ctx context.Context, ch snapshot.Channel) ([]pointer.Record, error) {
	last, ok, err := s.ratchet.Last(ch)
	if err != nil || !ok {
		return nil, err
	}
	p, err := last.Pointer()
	if err != nil || p.BaseURL == "" || s.known(p.BaseURL) {
		return nil, err
	}
	reader, err := bucket.NewReader(p.BaseURL, s.client)
	if err != nil {
		return nil, err
	}
	return readPointer(ctx, reader, ch)
}

func readPointer(ctx context.Context, r *bucket.Reader, ch snapshot.Channel) ([]pointer.Record, error) {
	b, err := r.Pointer(ctx, ch.Salt)
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
