package bucket

import (
	"context"
	"slices"
	"strings"

	"github.com/minio/minio-go/v7"
)

const (
	// listPage is the most that S3 lists in one answer.
	listPage = 1000
	// maxPages bounds a list of a server that never comes to an end.
	maxPages = 10_000
)

// Sweep implements [Store]. What a killed Check left behind goes, too.
func (s *s3Store) Sweep(ctx context.Context, prefix string, keep ...string) (Swept, error) {
	var sum Swept
	err := s.sweep(ctx, prefix, func(key string) bool { return !slices.Contains(keep, key) }, &sum)
	if err == nil {
		err = s.sweep(ctx, checkKey, func(key string) bool { return key == checkKey }, &sum)
	}
	return sum, err
}

// sweep adds to sum what it frees. It looks again after each list in which it found something, because not every server
// shows everything at once.
func (s *s3Store) sweep(ctx context.Context, prefix string, wanted func(key string) bool, sum *Swept) error {
	freed := make(map[string]bool)
	for {
		left, err := s.listUploads(ctx, prefix)
		if err != nil {
			return err
		}
		left = slices.DeleteFunc(left, func(u upload) bool { return !wanted(u.key) || freed[u.id] })
		if len(left) == 0 {
			return nil
		}
		for _, u := range left {
			n, err := s.discard(ctx, u)
			if err != nil {
				return err
			}
			freed[u.id] = true
			sum.Uploads++
			sum.Bytes += n
		}
	}
}

// discard frees the parts of an upload and says how many bytes those were.
func (s *s3Store) discard(ctx context.Context, u upload) (n int64, err error) {
	if err := s.listParts(ctx, u, func(part minio.ObjectPart) { n += part.Size }); err != nil {
		return 0, err
	}
	err = s.try(ctx, "sweep", u.key, s.patience, func(ctx context.Context, _ *watchdog) error {
		return unlessGone(s.core.AbortMultipartUpload(ctx, s.bucket, s.name(u.key), u.id))
	})
	return n, err
}

// unlessGone forgets that an upload does not exist any more.
func unlessGone(err error) error {
	if minioCode(err) == minio.NoSuchUpload {
		return nil
	}
	return err
}

// listUploads finds the unfinished uploads of objects under prefix.
func (s *s3Store) listUploads(ctx context.Context, prefix string) (found []upload, err error) {
	var keyMarker, idMarker string
	for range maxPages {
		page, err := s.uploadsAfter(ctx, prefix, keyMarker, idMarker)
		if idMarker != "" && minioCode(err) == "InvalidArgument" {
			// versitygw 1.8 never knows the upload it named itself. Without, the other uploads of that key are left out.
			page, err = s.uploadsAfter(ctx, prefix, keyMarker, "")
		}
		if err != nil {
			return nil, err
		}
		for _, u := range page.Uploads {
			if key, ok := strings.CutPrefix(u.Key, s.prefix); ok && strings.HasPrefix(key, prefix) {
				found = append(found, upload{key: key, id: u.UploadID})
			}
		}
		if !page.IsTruncated || (page.NextKeyMarker == keyMarker && page.NextUploadIDMarker == idMarker) {
			break
		}
		keyMarker, idMarker = page.NextKeyMarker, page.NextUploadIDMarker
	}
	return found, nil
}

func (s *s3Store) uploadsAfter(ctx context.Context, prefix, key, id string) (page minio.ListMultipartUploadsResult, err error) {
	err = s.try(ctx, "list", prefix, s.patience, func(ctx context.Context, _ *watchdog) (err error) {
		page, err = s.core.ListMultipartUploads(ctx, s.bucket, s.name(prefix), key, id, "", listPage)
		return err
	})
	return page, err
}

// listParts calls visit for the parts that an upload has. One that does not exist any more has none.
func (s *s3Store) listParts(ctx context.Context, u upload, visit func(minio.ObjectPart)) error {
	marker := 0
	for range maxPages {
		var page minio.ListObjectPartsResult
		err := s.try(ctx, "list", u.key, s.patience, func(ctx context.Context, _ *watchdog) (err error) {
			page, err = s.core.ListObjectParts(ctx, s.bucket, s.name(u.key), u.id, marker, listPage)
			return unlessGone(err)
		})
		if err != nil {
			return err
		}
		for _, part := range page.ObjectParts {
			part.ETag = strings.Trim(part.ETag, `"`)
			visit(part)
		}
		if !page.IsTruncated || page.NextPartNumberMarker <= marker {
			break
		}
		marker = page.NextPartNumberMarker
	}
	return nil
}
