package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"snapswarm/common/address"
	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
)

// randomProbes is how many pieces are read beside the first and the last.
const randomProbes = 3

// probe reads through the public address what the readers will ask for first, and a sample of the rest. Until all of it
// is right, the pointer stays where it is.
func (r *run) probe(ctx context.Context) error {
	if r.cfg.Public == nil {
		r.cfg.Log.WarnContext(ctx, "nothing is probed: PUBLIC_URL is not set, so nobody is told an address to read the bucket from",
			"channel", r.cfg.Salt)
		return nil
	}
	k, torrent := r.keys(), r.torrent.Encode()
	for _, key := range []string{k.byHash, k.torrent} {
		if err := r.persist(ctx, func() error { return r.probeTorrent(ctx, key, torrent) }); err != nil {
			return err
		}
	}
	for _, i := range probePieces(r.torrent) {
		if err := r.persist(ctx, func() error { return r.probePiece(ctx, k.archive, i) }); err != nil {
			return err
		}
	}
	return nil
}

// probePieces chooses which pieces are read, each once. The last one lies beyond 5 GiB whenever anything does: servers
// and proxies that cannot serve that far exist.
func probePieces(t *snapshot.Torrent) []int {
	n := t.NumPieces()
	pieces := []int{0, n - 1}
	for range randomProbes {
		pieces = append(pieces, rand.IntN(n))
	}
	slices.Sort(pieces)
	return slices.Compact(pieces)
}

// persist repeats try while the store may only be slow to show what it has.
func (r *run) persist(ctx context.Context, try func() error) error {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = 100*time.Millisecond, 10*time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := try()
		if final(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(b), backoff.WithMaxElapsedTime(r.cfg.ProbeFor))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var permanent *backoff.PermanentError
	if errors.As(err, &permanent) {
		err = permanent.Unwrap()
	}
	return r.explain(err)
}

// final reports whether waiting cannot help.
func final(err error) bool {
	return errors.Is(err, bucket.ErrNoRanges) || errors.Is(err, bucket.ErrRefusedRedirect) ||
		errors.Is(err, address.ErrNotPublic) || errors.Is(err, bucket.ErrBadConfig)
}

// explain says what a failed probe means and what to do about it.
func (r *run) explain(err error) error {
	var hint string
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrWrongBytes):
		return fmt.Errorf("%w; the pointer was not moved: look for a cache or another bucket behind PUBLIC_URL %s", err, r.cfg.Public)
	case errors.Is(err, bucket.ErrNoRanges):
		hint = "peers and curl -C need range requests (RFC 9110, section 14): let the web server allow them"
	case errors.Is(err, bucket.ErrDenied):
		hint = "allow everybody to read the bucket (s3:GetObject for \"*\" in its policy), or set PUBLIC_URL to the address where it can be read"
	case errors.Is(err, bucket.ErrNotFound):
		hint = fmt.Sprintf("PUBLIC_URL must be the address of the very folder that BUCKET (%s) names", r.cfg.Store)
	default:
		hint = "check PUBLIC_URL and the server behind it"
	}
	return fmt.Errorf("%w: %w; the pointer was not moved: %s", ErrNotPublic, err, hint)
}

func (r *run) probeTorrent(ctx context.Context, key string, want []byte) error {
	got, err := r.cfg.Public.Get(ctx, key, int64(len(want)))
	if errors.Is(err, bucket.ErrTooLarge) || (err == nil && !bytes.Equal(got, want)) {
		return fmt.Errorf("%w: %s is not the torrent that was stored", ErrWrongBytes, r.cfg.Public.URL(key))
	}
	return err
}

func (r *run) probePiece(ctx context.Context, key string, i int) error {
	at, n := int64(i)*r.torrent.PieceLength, r.torrent.PieceSize(i)
	body, total, err := r.cfg.Public.Range(ctx, key, at, n)
	if errors.Is(err, bucket.ErrNoRanges) { // which a file that ends too early looks like
		if info, e := r.cfg.Public.Stat(ctx, key); e == nil && info.Size != r.torrent.Length {
			return r.wrongSize(key, info.Size)
		}
	}
	if err != nil {
		return err
	}
	defer body.Close()
	if total >= 0 && total != r.torrent.Length {
		return r.wrongSize(key, total)
	}
	check := r.torrent.NewCheck(i)
	if _, err := io.Copy(check, body); err != nil {
		return fmt.Errorf("get %s at %d: %w: %w", r.cfg.Public.URL(key), at, bucket.ErrUnreachable, err)
	}
	if !check.Right() {
		return fmt.Errorf("%w: bytes %d-%d of %s", ErrWrongBytes, at, at+n-1, r.cfg.Public.URL(key))
	}
	return nil
}

func (r *run) wrongSize(key string, got int64) error {
	return fmt.Errorf("%w: %s has %d bytes instead of %d", ErrWrongBytes, r.cfg.Public.URL(key), got, r.torrent.Length)
}
