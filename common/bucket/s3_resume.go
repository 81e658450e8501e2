package bucket

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
)

// hasSingle reports whether the object that is there is the one that would be sent.
func (s *s3Store) hasSingle(ctx context.Context, key string, load payload, o PutOptions) (bool, error) {
	info, found, err := s.look(ctx, key, load.at.size, o)
	if err != nil || !found {
		return false, err
	}
	return sameSum(info.ChecksumSHA256, info.ETag, load), nil
}

// hasParts is hasSingle for an object that was sent in parts. It reads the source only when the rest speaks for it; what
// it hashes then need not be hashed again to be sent.
func (s *s3Store) hasParts(ctx context.Context, key string, src *parts, o PutOptions) (bool, error) {
	info, found, err := s.look(ctx, key, src.size, o)
	if err != nil || !found {
		return false, err
	}
	number := fmt.Sprintf("-%d", len(src.spans))
	withMD5 := info.ChecksumSHA256 == ""
	if sum := info.ChecksumSHA256; !strings.HasSuffix(sum, number) && (sum != "" || !strings.HasSuffix(info.ETag, number)) {
		return false, nil
	}
	err = src.each(ctx, s.parallel, func(ctx context.Context, i int) error {
		_, err := src.load(ctx, i, withMD5)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("put %s: %w", key, err)
	}
	if withMD5 {
		return info.ETag == src.etag(), nil
	}
	return info.ChecksumSHA256 == src.checksum(), nil
}

// look describes an object if it has the size and the metadata of what would be sent. Only a store that is away is an
// error: one that does not tell is sent everything.
func (s *s3Store) look(ctx context.Context, key string, size int64, o PutOptions) (info minio.ObjectInfo, found bool, err error) {
	err = s.tryObject(ctx, "stat", key, func(ctx context.Context, _ *watchdog) (err error) {
		info, err = s.core.StatObject(ctx, s.bucket, s.name(key), minio.StatObjectOptions{Checksum: true})
		return err
	})
	if err != nil {
		return info, false, unlessSilent(ctx, err)
	}
	info.ETag = strings.Trim(info.ETag, `"`)
	return info, info.Size == size && sameMetadata(info, o), nil
}

// unlessSilent forgets the error of a question that need not be answered.
func unlessSilent(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, ErrUnreachable) || errors.Is(err, ErrBadKey) {
		return err
	}
	return nil
}

func sameMetadata(info minio.ObjectInfo, o PutOptions) bool {
	return (o.ContentType == "" || info.ContentType == o.ContentType) &&
		info.Metadata.Get("Cache-Control") == o.CacheControl &&
		info.Metadata.Get("Content-Disposition") == o.ContentDisposition
}

// sameSum compares by SHA-256 where the server has it, else by the ETag, which is the MD5 of what was sent in one request
// where nothing is encrypted. A server with neither is never right.
func sameSum(sha, etag string, load payload) bool {
	if sha != "" {
		return sha == load.base64()
	}
	return load.md5 != "" && etag == load.md5
}

func isMD5(etag string) bool {
	b, err := hex.DecodeString(etag)
	return err == nil && len(b) == 16
}

// resume finds the upload that earlier Puts of key have left and that has the most of src, and frees the others. A server
// that cannot list them, or not to us, has none; so an upload is a new one there. The zero upload means that there is none.
func (s *s3Store) resume(ctx context.Context, key string, src *parts, p *progress) (upload, error) {
	left, err := s.leftOf(ctx, key, src)
	if err != nil {
		if err := unlessSilent(ctx, err); err != nil {
			return upload{}, err
		}
		s.log.DebugContext(ctx, "unfinished uploads cannot be looked for, so none is continued", "key", key, "error", err)
		return upload{}, nil
	}
	if err := s.compare(ctx, left, src, p); err != nil {
		return upload{}, fmt.Errorf("put %s: %w", key, err)
	}
	slices.SortStableFunc(left, func(a, b upload) int { return cmp.Compare(b.kept(), a.kept()) })
	if len(left) == 0 {
		return upload{}, nil
	}
	best := left[0]
	if best.kept() == 0 {
		best = upload{} // of another content, perhaps with other metadata
	} else {
		s.log.InfoContext(ctx, "going on with an unfinished upload", "key", key, "upload", best.id,
			"bytes_there", best.kept(), "bytes_in_all", src.size)
	}
	for _, u := range left {
		if u.id != best.id {
			s.abort(ctx, u)
		}
	}
	p.set(best.kept())
	return best, nil
}

// kept is how many bytes need not be sent again.
func (u upload) kept() (n int64) {
	for _, part := range u.has {
		n += part.Size
	}
	return n
}

// leftOf lists the unfinished uploads of key with those of their parts that have the right number and size.
func (s *s3Store) leftOf(ctx context.Context, key string, src *parts) ([]upload, error) {
	found, err := s.listUploads(ctx, key)
	if err != nil {
		return nil, err
	}
	var left []upload
	for _, u := range found {
		if u.key != key {
			continue
		}
		u.has = make([]minio.ObjectPart, len(src.spans))
		err := s.listParts(ctx, u, func(part minio.ObjectPart) {
			if i := part.PartNumber - 1; i >= 0 && i < len(src.spans) && part.Size == src.spans[i].size {
				u.has[i] = part
			}
		})
		if err != nil {
			return nil, err
		}
		left = append(left, u)
	}
	return left, nil
}

// compare forgets the parts that are not those of src. It reads only the sections that some upload claims to have, and
// tells p of each that is right as it goes, because that can take a while.
func (s *s3Store) compare(ctx context.Context, left []upload, src *parts, p *progress) error {
	if len(left) == 0 {
		return nil
	}
	return src.each(ctx, s.parallel, func(ctx context.Context, i int) error {
		claimed, withMD5 := false, false
		for _, u := range left {
			if part := u.has[i]; part.PartNumber != 0 {
				claimed = claimed || part.ChecksumSHA256 != "" || isMD5(part.ETag)
				withMD5 = withMD5 || part.ChecksumSHA256 == ""
			}
		}
		var load payload
		if claimed {
			var err error
			if load, err = src.load(ctx, i, withMD5); err != nil {
				return err
			}
		}
		right := false
		for _, u := range left { // each call has its own i: no two touch the same element
			if !claimed || !sameSum(u.has[i].ChecksumSHA256, u.has[i].ETag, load) {
				u.has[i] = minio.ObjectPart{}
			}
			right = right || u.has[i].PartNumber != 0
		}
		p.addIf(right, load.at.size)
		return nil
	})
}
