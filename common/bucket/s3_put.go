package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
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
	// worthAsking is the size from which asking whether an object is there costs less than sending it.
	worthAsking = 256 << 10
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
	return s.putParts(ctx, key, newParts(body, size), o)
}

func (s *s3Store) putSingle(ctx context.Context, key string, body io.ReaderAt, size int64, o PutOptions) error {
	load, err := hashPayload(ctx, body, span{size: size}, size >= worthAsking)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	p := newProgress(o.Progress)
	if size >= worthAsking {
		if there, err := s.hasSingle(ctx, key, load, o); err != nil || there {
			p.addIf(there, size)
			return err
		}
	}
	opts := putOptions(o)
	opts.UserMetadata = map[string]string{checksumHeader: load.base64()}
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
	// has are the parts that the server has already, and that are right, by their place; a zero number means none.
	has []minio.ObjectPart
}

func (s *s3Store) putParts(ctx context.Context, key string, src *parts, o PutOptions) error {
	p := newProgress(o.Progress)
	if there, err := s.hasParts(ctx, key, src, o); err != nil || there {
		p.addIf(there, src.size)
		return err
	}
	u, err := s.resume(ctx, key, src, p)
	if err == nil && u.id == "" {
		u, err = s.begin(ctx, key, o)
	}
	if err != nil {
		return err
	}
	done, err := s.sendParts(ctx, u, src, p)
	if err == nil {
		err = s.complete(ctx, u, done, src.size)
	}
	if err != nil {
		s.abandon(ctx, u, err)
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

// sendParts sends what the upload does not have yet.
func (s *s3Store) sendParts(ctx context.Context, u upload, src *parts, p *progress) ([]minio.CompletePart, error) {
	done := make([]minio.CompletePart, len(src.spans))
	err := src.each(ctx, s.parallel, func(ctx context.Context, i int) error {
		load, err := src.load(ctx, i, false)
		if err != nil {
			return fmt.Errorf("put %s: %w", u.key, err)
		}
		done[i] = minio.CompletePart{PartNumber: load.at.number, ChecksumSHA256: load.base64()}
		if i < len(u.has) && u.has[i].PartNumber != 0 {
			done[i].ETag = u.has[i].ETag
			return nil
		}
		done[i].ETag, err = s.sendPart(ctx, u, load, p)
		return err
	})
	return done, err
}

func (s *s3Store) sendPart(ctx context.Context, u upload, load payload, p *progress) (etag string, err error) {
	err = s.tryObject(ctx, "put", u.key, func(ctx context.Context, dog *watchdog) error {
		r := newSection(load, p, dog)
		part, err := s.core.PutObjectPart(ctx, s.bucket, s.name(u.key), u.id, load.at.number, r, load.at.size,
			minio.PutObjectPartOptions{
				Sha256Hex: load.hex(), DisableContentSha256: true,
				CustomHeader: http.Header{checksumHeader: {load.base64()}},
			})
		etag = part.ETag
		return s.ended(ctx, r, err)
	})
	return etag, err
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
	tags := make([]string, len(parts))
	for i, part := range parts {
		tags[i] = part.ETag
	}
	info, statErr := s.Stat(ctx, u.key)
	if statErr == nil && info.Size == size && info.ETag == joinedETag(tags) {
		s.log.DebugContext(ctx, "upload was complete already", "key", u.key, "etag", etag)
		return nil
	}
	return err
}

// abandon keeps the parts of an upload that can be continued, because the caller gave up or the store would not go on. It
// frees them where continuing would end in the same way: the source cannot be read, or the server refuses what it was sent.
func (s *s3Store) abandon(ctx context.Context, u upload, why error) {
	if ctx.Err() != nil || errors.Is(why, ErrUnreachable) || errors.Is(why, ErrDenied) {
		s.log.InfoContext(ctx, "upload interrupted, its parts stay in the bucket to be continued", "key", u.key, "upload", u.id)
		return
	}
	s.abort(ctx, u)
}

// abort frees the parts of an upload. A failure is logged and does no harm: the next Put or Sweep tries again.
func (s *s3Store) abort(ctx context.Context, u upload) {
	ctx, cancel := context.WithTimeout(ctx, abortLimit)
	defer cancel()
	err := s.core.AbortMultipartUpload(ctx, s.bucket, s.name(u.key), u.id)
	if err != nil && minioCode(err) != minio.NoSuchUpload {
		s.log.WarnContext(ctx, "parts of an upload stay in the bucket", "key", u.key, "upload", u.id, "error", err)
	}
}
