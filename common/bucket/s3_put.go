package bucket

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"
)

// Limits of S3 (Amazon S3 user guide, "Multipart upload limits").
const (
	maxParts    = 10_000
	maxPartSize = 5 << 30
)

const (
	// minPartSize is small enough that a repeated part does not hurt on a slow uplink, and large enough that latency
	// does not on a fast one. Objects up to this size go up in one request.
	minPartSize = 16 << 20
	// completeLimit bounds the request that joins the parts; some servers copy them all, in silence.
	completeLimit = 30 * time.Minute
	abortLimit    = 15 * time.Second
)

// partSize is a function of the object's size alone, so that another process cuts the same parts.
func partSize(size int64) int64 {
	const unit = 1 << 20
	need := (size + maxParts - 1) / maxParts
	return max(minPartSize, (need+unit-1)/unit*unit)
}

// cut lists the parts of an object, in order.
func cut(size int64) []span {
	step := partSize(size)
	parts := make([]span, 0, (size+step-1)/step)
	for offset := int64(0); offset < size; offset += step {
		parts = append(parts, span{number: len(parts) + 1, offset: offset, size: min(step, size-offset)})
	}
	return parts
}

// Put implements [Store].
func (s *s3Store) Put(ctx context.Context, key string, body io.ReaderAt, size int64, o PutOptions) error {
	if partSize(size) > maxPartSize {
		return &Error{Op: "put", Key: key, Store: s.String(), Kind: ErrTooLarge, Err: fmt.Errorf("%d bytes", size)}
	}
	if size <= minPartSize {
		return s.putSingle(ctx, key, body, size, o)
	}
	return s.putParts(ctx, key, body, size, o)
}

func (s *s3Store) putSingle(ctx context.Context, key string, body io.ReaderAt, size int64, o PutOptions) error {
	load, err := hashPayload(ctx, body, span{size: size})
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	opts := putOptions(o)
	opts.UserMetadata = map[string]string{checksumHeader: load.base64()}
	p := newProgress(o.Progress)
	return s.tryObject(ctx, "put", key, func(ctx context.Context, dog *watchdog) error {
		r := newSection(load, p, dog)
		_, err := s.core.PutObject(ctx, s.bucket, s.name(key), r, size, "", load.hex(), opts)
		return s.ended(ctx, r, err)
	})
}

// The header fields of checksums (Amazon S3 API reference, PutObject and CreateMultipartUpload).
const (
	checksumHeader    = "X-Amz-Checksum-Sha256"
	checksumAlgorithm = "X-Amz-Checksum-Algorithm"
)

func putOptions(o PutOptions) minio.PutObjectOptions {
	return minio.PutObjectOptions{
		ContentType:        o.ContentType,
		CacheControl:       o.CacheControl,
		ContentDisposition: o.ContentDisposition,
		// The payload's hash is in the signed header already: no aws-chunked framing, which some servers store as data.
		DisableContentSha256: true,
	}
}

// upload is a multipart upload under way.
type upload struct {
	key string
	id  string
}

func (s *s3Store) putParts(ctx context.Context, key string, body io.ReaderAt, size int64, o PutOptions) error {
	u, err := s.begin(ctx, key, o)
	if err != nil {
		return err
	}
	done, err := s.sendParts(ctx, u, body, cut(size), newProgress(o.Progress))
	if err == nil {
		err = s.complete(ctx, u, done, size)
	}
	if err != nil {
		s.abandon(ctx, u)
	}
	return err
}

func (s *s3Store) begin(ctx context.Context, key string, o PutOptions) (upload, error) {
	u := upload{key: key}
	opts := putOptions(o)
	opts.UserMetadata = map[string]string{checksumAlgorithm: "SHA256"}
	err := s.tryObject(ctx, "put", key, func(ctx context.Context, _ *watchdog) (err error) {
		u.id, err = s.core.NewMultipartUpload(ctx, s.bucket, s.name(key), opts)
		return err
	})
	return u, err
}

func (s *s3Store) sendParts(ctx context.Context, u upload, body io.ReaderAt, parts []span, p *progress) ([]minio.CompletePart, error) {
	done := make([]minio.CompletePart, len(parts))
	g, each := errgroup.WithContext(ctx)
	g.SetLimit(s.parallel)
	for i, part := range parts {
		if each.Err() != nil {
			break
		}
		g.Go(func() (err error) {
			done[i], err = s.sendPart(each, u, body, part, p)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return done, context.Cause(ctx) // when it ended between two parts, some are missing
}

func (s *s3Store) sendPart(ctx context.Context, u upload, body io.ReaderAt, at span, p *progress) (minio.CompletePart, error) {
	load, err := hashPayload(ctx, body, at)
	if err != nil {
		return minio.CompletePart{}, fmt.Errorf("put %s: %w", u.key, err)
	}
	done := minio.CompletePart{PartNumber: at.number, ChecksumSHA256: load.base64()}
	err = s.tryObject(ctx, "put", u.key, func(ctx context.Context, dog *watchdog) error {
		r := newSection(load, p, dog)
		part, err := s.core.PutObjectPart(ctx, s.bucket, s.name(u.key), u.id, at.number, r, at.size, minio.PutObjectPartOptions{
			Sha256Hex: load.hex(), DisableContentSha256: true,
			CustomHeader: http.Header{checksumHeader: {load.base64()}},
		})
		done.ETag = part.ETag
		return s.ended(ctx, r, err)
	})
	return done, err
}

// ended settles one attempt to send a payload.
func (s *s3Store) ended(ctx context.Context, r *section, err error) error {
	sent, fail := r.end(err != nil)
	s.metrics.sent.Add(ctx, sent)
	if fail != nil {
		return sourceError{fail}
	}
	if code := minioCode(err); code == "BadDigest" || code == "XAmzContentSHA256Mismatch" {
		if fail := r.load.verify(ctx); fail != nil {
			return fail // no repetition can mend it
		}
	}
	return err
}

// complete joins the parts. An answer that got lost leaves the object finished and the upload unknown; that is success.
func (s *s3Store) complete(ctx context.Context, u upload, parts []minio.CompletePart, size int64) error {
	var etag string
	slow := patience{retry: s.patience.retry, stall: completeLimit}
	err := s.try(ctx, "put", u.key, slow, func(ctx context.Context, _ *watchdog) error {
		info, err := s.core.CompleteMultipartUpload(ctx, s.bucket, s.name(u.key), u.id, parts, minio.PutObjectOptions{})
		etag = info.ETag
		return err
	})
	if err == nil || minioCode(err) != minio.NoSuchUpload {
		return err
	}
	info, statErr := s.Stat(ctx, u.key)
	if statErr == nil && info.Size == size && info.ETag == joinedETag(parts) {
		s.log.DebugContext(ctx, "upload was complete already", "key", u.key, "etag", etag)
		return nil
	}
	return err
}

// abandon frees the parts of a failed upload. When the caller gave up they stay, to be continued; the bucket's lifecycle
// rule for incomplete uploads is what removes them in the end.
func (s *s3Store) abandon(ctx context.Context, u upload) {
	if ctx.Err() != nil {
		s.log.InfoContext(ctx, "upload interrupted, its parts stay in the bucket", "key", u.key, "upload", u.id)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, abortLimit)
	defer cancel()
	if err := s.core.AbortMultipartUpload(ctx, s.bucket, s.name(u.key), u.id); err != nil {
		s.log.WarnContext(ctx, "parts of a failed upload stay in the bucket", "key", u.key, "upload", u.id, "error", err)
	}
}
