package bucket

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3 makes ETags of it
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
)

// What is known of a server's conditional requests.
const (
	conditionsUnknown int32 = iota
	conditionsKept
	conditionsIgnored // or refused
)

// settleFor is how long a store without conditions is given, between writing and looking again, to take what somebody else
// writes who looked at the same time.
const settleFor = time.Second

// lookPauses are waited for between two answers of which each seems to be torn. A server that stores an object is soon done;
// an ETag that is of another sort stays so.
func lookPauses() []time.Duration {
	return []time.Duration{20 * time.Millisecond, 40 * time.Millisecond, 80 * time.Millisecond, 160 * time.Millisecond}
}

// Find implements [Store]. There are servers, versitygw 1.8 among them, that keep ETags apart from objects and for a moment
// answer with the new ETag and the old body. Who believed that would overwrite what he has not seen. So an answer whose
// ETag looks like the usual MD5 sum but is not the body's is asked for again. With some sorts of encryption it stays so.
func (s *s3Store) Find(ctx context.Context, key string, limit int64) (Found, error) {
	found, err := s.get(ctx, key, limit)
	for _, pause := range lookPauses() {
		if err != nil || !torn(found) {
			break
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return Found{}, context.Cause(ctx)
		}
		found, err = s.get(ctx, key, limit)
	}
	return found, err
}

// torn reports whether body and ETag seem not to belong together.
func torn(f Found) bool {
	sum := md5.Sum(f.Body)
	return len(f.ETag) == hex.EncodedLen(md5.Size) && f.ETag != hex.EncodeToString(sum[:])
}

// PutIf implements [Store].
func (s *s3Store) PutIf(ctx context.Context, key string, body []byte, was string, o PutOptions) (string, error) {
	if s.conditions.Load() == conditionsIgnored {
		return s.putLooking(ctx, key, body, was, o)
	}
	etag, err := s.putConditional(ctx, key, body, was, o)
	switch {
	case refusesConditions(err):
		s.warnOfConditions(ctx, err)
		return s.putLooking(ctx, key, body, was, o)
	case errors.Is(err, ErrPrecondition), errors.Is(err, ErrNotFound): // the latter for If-Match without an object
		return s.unlessThere(ctx, key, body)
	case err != nil || s.conditions.Load() == conditionsKept:
		return etag, err
	}
	return s.prove(ctx, key, body, etag, o)
}

// putConditional is one put with If-Match, or If-None-Match: * when nothing may lie there.
func (s *s3Store) putConditional(ctx context.Context, key string, body []byte, was string, o PutOptions) (etag string, err error) {
	load, err := hashPayload(ctx, bytes.NewReader(body), span{size: int64(len(body))}, false)
	if err != nil {
		return "", err
	}
	opts := putOptions(o)
	opts.UserMetadata = map[string]string{checksumHeader: load.base64()}
	if was == "" {
		opts.SetMatchETagExcept("*")
	} else {
		opts.SetMatchETag(was)
	}
	p := newProgress(o.Progress)
	err = s.tryObject(ctx, "put", key, func(ctx context.Context, dog *watchdog) error {
		r := newSection(load, p, dog)
		info, err := s.core.PutObject(ctx, s.bucket, s.name(key), r, int64(len(body)), "", load.hex(), opts)
		etag = info.ETag
		return s.ended(ctx, r, err)
	})
	return etag, err
}

// unlessThere settles a condition that was not met: it is not if an earlier attempt was and only its answer got lost.
func (s *s3Store) unlessThere(ctx context.Context, key string, body []byte) (string, error) {
	found, err := s.Find(ctx, key, int64(len(body)))
	switch {
	case err == nil && bytes.Equal(found.Body, body):
		return found.ETag, nil
	case err == nil || errors.Is(err, ErrNotFound) || errors.Is(err, ErrTooLarge):
		return "", &Error{Op: "put", Key: key, Store: s.String(), Kind: ErrPrecondition}
	}
	return "", err
}

// prove finds out, after the first conditional put, whether it was one: the same body again where nothing may lie has to be
// refused. If it is not, nothing is lost, because it is the same body.
func (s *s3Store) prove(ctx context.Context, key string, body []byte, etag string, o PutOptions) (string, error) {
	_, err := s.putConditional(ctx, key, body, "", o)
	switch {
	case errors.Is(err, ErrPrecondition):
		s.conditions.Store(conditionsKept)
		return etag, nil
	case err == nil || refusesConditions(err):
		s.warnOfConditions(ctx, err)
		return s.lookAgain(ctx, key, body)
	}
	return etag, nil // the next one asks again
}

func refusesConditions(err error) bool {
	var answer minio.ErrorResponse
	return errors.As(err, &answer) && (answer.StatusCode == http.StatusNotImplemented || answer.Code == "NotImplemented")
}

// warnOfConditions says it once.
func (s *s3Store) warnOfConditions(ctx context.Context, err error) {
	if s.conditions.Swap(conditionsIgnored) == conditionsIgnored {
		return
	}
	what := "ignores them"
	if err != nil {
		what = "refuses them: " + oneLine(err.Error())
	}
	s.log.WarnContext(ctx, "the S3 server has no conditional requests (If-Match): two that write at the same moment may not notice "+
		"each other; make sure that only one producer publishes a channel", "store", s.String(), "server", what)
}

// putLooking is what can be done without conditions.
func (s *s3Store) putLooking(ctx context.Context, key string, body []byte, was string, o PutOptions) (string, error) {
	now, err := s.Stat(ctx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", err
	}
	if now.ETag != was {
		return s.unlessThere(ctx, key, body)
	}
	if err := s.Put(ctx, key, bytes.NewReader(body), int64(len(body)), o); err != nil {
		return "", err
	}
	return s.lookAgain(ctx, key, body)
}

// lookAgain finds out whether body is still there after others had time to overwrite it.
func (s *s3Store) lookAgain(ctx context.Context, key string, body []byte) (string, error) {
	select {
	case <-time.After(settleFor):
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	return s.unlessThere(ctx, key, body)
}
