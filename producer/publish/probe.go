package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"snapswarm/common/address"
	"snapswarm/common/bucket"
	"snapswarm/common/snapshot"
)

// randomProbes is how many pieces are read anywhere, and once more beyond the last of the frontiers.
const randomProbes = 3

// frontiers are offsets in bytes where servers, proxies and file systems have broken: signed and unsigned 32-bit numbers
// end at 2 and 4 GiB, and S3 takes and copies no more than 5 GiB at once.
func frontiers() [3]int64 { return [...]int64{2 << 30, 4 << 30, 5 << 30} }

// probe reads through the public address what the readers will ask for first, and a sample of the rest. Until all of it
// is right, the pointer stays where it is.
func (r *run) probe(ctx context.Context) error {
	return r.prober().snapshot(ctx, r.keys(), r.torrent)
}

// prober reads stored snapshots as everybody else will.
type prober struct {
	public   Public // nil: there is no address
	channel  string
	store    string // for messages
	patience time.Duration
	log      *slog.Logger
}

func (p *Publisher) prober() prober {
	return prober{public: p.cfg.Public, channel: p.cfg.Salt, store: p.cfg.Store.String(), patience: p.cfg.ProbeFor, log: p.cfg.Log}
}

// keysOf are the names of the objects of a snapshot whose torrent has a description.
func keysOf(salt string, t *snapshot.Torrent) keys {
	v := t.Description.Version
	return keys{
		archive: bucket.ArchiveKey(salt, v, t.Name), torrent: bucket.TorrentKey(salt, v, t.Name), byHash: bucket.InfoHashKey(t.InfoHash),
	}
}

// snapshot reads the torrent t under both of its names and some pieces of the archive, and hashes them.
func (p prober) snapshot(ctx context.Context, k keys, t *snapshot.Torrent) error {
	if p.public == nil {
		p.log.WarnContext(ctx, "nothing is probed: PUBLIC_URL is not set, so nobody is told an address to read the bucket from",
			"channel", p.channel)
		return nil
	}
	torrent := t.Encode()
	for _, key := range []string{k.byHash, k.torrent} {
		if err := p.persist(ctx, func() error { return p.torrent(ctx, key, torrent) }); err != nil {
			return err
		}
	}
	seed := rand.Uint64()
	pieces := probePieces(t, seed)
	p.log.DebugContext(ctx, "pieces are probed", "channel", p.channel, "pieces", pieces, "of", t.NumPieces(), "seed", seed)
	for _, i := range pieces {
		if err := p.persist(ctx, func() error { return p.piece(ctx, k.archive, t, i) }); err != nil {
			return err
		}
	}
	return nil
}

// probePieces chooses which pieces are read, each once, in their order: the first and the last, those that end and begin at
// a frontier, and some that the seed chooses, of which one lies beyond the last frontier if anything does. That are 12
// at most, however long the archive is.
func probePieces(t *snapshot.Torrent, seed uint64) []int {
	n := t.NumPieces()
	random := rand.New(rand.NewPCG(seed, 0))
	pieces := []int{0, n - 1}
	for range randomProbes {
		pieces = append(pieces, random.IntN(n))
	}
	beyond := 0
	for _, at := range frontiers() {
		if at >= t.Length {
			break
		}
		beyond = int(at / t.PieceLength) // the piece that begins there, or holds that offset
		pieces = append(pieces, int((at-1)/t.PieceLength), beyond)
	}
	if beyond > 0 {
		pieces = append(pieces, beyond+random.IntN(n-beyond))
	}
	slices.Sort(pieces)
	return slices.Compact(pieces)
}

// persist repeats try while the store may only be slow to show what it has.
func (p prober) persist(ctx context.Context, try func() error) error {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = 100*time.Millisecond, 10*time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := try()
		if final(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(b), backoff.WithMaxElapsedTime(p.patience))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var permanent *backoff.PermanentError
	if errors.As(err, &permanent) {
		err = permanent.Unwrap()
	}
	return p.explain(err)
}

// final reports whether waiting cannot help.
func final(err error) bool {
	return errors.Is(err, bucket.ErrNoRanges) || errors.Is(err, bucket.ErrRefusedRedirect) ||
		errors.Is(err, address.ErrNotPublic) || errors.Is(err, bucket.ErrBadConfig)
}

// explain says what a failed probe means and what to do about it.
func (p prober) explain(err error) error {
	var hint string
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrWrongBytes):
		return fmt.Errorf("%w; the pointer was not moved: look for a cache or another bucket behind PUBLIC_URL %s", err, p.public)
	case errors.Is(err, bucket.ErrNoRanges):
		hint = "peers and curl -C need range requests (RFC 9110, section 14): let the web server allow them"
	case errors.Is(err, bucket.ErrDenied):
		hint = "allow everybody to read the bucket (s3:GetObject for \"*\" in its policy), or set PUBLIC_URL to the address where it can be read"
	case errors.Is(err, bucket.ErrNotFound):
		hint = fmt.Sprintf("PUBLIC_URL must be the address of the very folder that BUCKET (%s) names", p.store)
	default:
		hint = "check PUBLIC_URL and the server behind it"
	}
	return fmt.Errorf("%w: %w; the pointer was not moved: %s", ErrNotPublic, err, hint)
}

func (p prober) torrent(ctx context.Context, key string, want []byte) error {
	got, err := p.public.Get(ctx, key, int64(len(want)))
	if errors.Is(err, bucket.ErrTooLarge) || (err == nil && !bytes.Equal(got, want)) {
		return fmt.Errorf("%w: %s is not the torrent that was stored", ErrWrongBytes, p.public.URL(key))
	}
	return err
}

func (p prober) piece(ctx context.Context, key string, t *snapshot.Torrent, i int) error {
	at, n := int64(i)*t.PieceLength, t.PieceSize(i)
	body, total, err := p.public.Range(ctx, key, at, n)
	if errors.Is(err, bucket.ErrNoRanges) { // which a file that ends too early looks like
		if info, e := p.public.Stat(ctx, key); e == nil && info.Size != t.Length {
			return p.wrongSize(key, info.Size, t)
		}
	}
	if err != nil {
		return fmt.Errorf("bytes %d-%d: %w", at, at+n-1, err)
	}
	defer body.Close()
	if total >= 0 && total != t.Length {
		return p.wrongSize(key, total, t)
	}
	check := t.NewCheck(i)
	if _, err := io.Copy(check, body); err != nil {
		return fmt.Errorf("get %s at %d: %w: %w", p.public.URL(key), at, bucket.ErrUnreachable, err)
	}
	if !check.Right() {
		return fmt.Errorf("%w: bytes %d-%d of %s", ErrWrongBytes, at, at+n-1, p.public.URL(key))
	}
	return nil
}

func (p prober) wrongSize(key string, got int64, t *snapshot.Torrent) error {
	return fmt.Errorf("%w: %s has %d bytes instead of %d", ErrWrongBytes, p.public.URL(key), got, t.Length)
}
