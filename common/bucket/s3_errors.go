package bucket

import (
	"context"
	"crypto/md5" //nolint:gosec // S3 makes ETags of it
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/minio/minio-go/v7"
)

// patience says how long to bear with a store.
type patience struct {
	retry time.Duration // sum of the pauses between attempts; negative: one attempt only
	stall time.Duration // without progress within one attempt
}

// try runs one request until it succeeds, cannot succeed, or patience is at its end. Errors come back as [*Error], those
// of the caller's own context and source as they are.
func (s *s3Store) try(ctx context.Context, op, key string, p patience, request func(context.Context, *watchdog) error) error {
	attempt := func() (struct{}, error) {
		begin := time.Now()
		err := s.explain(ctx, op, key, attemptOnce(ctx, p.stall, request))
		s.metrics.request(ctx, op, begin, err)
		if err != nil && !errors.Is(err, ErrUnreachable) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}
	_, err := backoff.Retry(ctx, attempt,
		backoff.WithBackOff(newBudget(p.retry)), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, pause time.Duration) {
			s.log.WarnContext(ctx, "bucket request failed, trying again", "error", err, "pause", pause.Round(time.Millisecond))
		}))
	return err
}

// tryObject is try with the store's patience for a request about one object.
func (s *s3Store) tryObject(ctx context.Context, op, key string, request func(context.Context, *watchdog) error) error {
	if err := CheckKey(key); err != nil {
		return &Error{Op: op, Store: s.String(), Kind: ErrBadKey, Err: err}
	}
	return s.try(ctx, op, key, s.patience, request)
}

func attemptOnce(ctx context.Context, stall time.Duration, request func(context.Context, *watchdog) error) error {
	inner, dog := newWatchdog(ctx, stall)
	defer dog.stop()
	err := request(inner, dog)
	var stalled stalledError
	if err != nil && ctx.Err() == nil && errors.As(context.Cause(inner), &stalled) {
		return stalled
	}
	return err
}

// budget is an exponential backoff that ends when the pauses add up to a limit. Time spent in attempts does not count:
// a part may take minutes on a slow uplink, and its first failure must not be its last.
type budget struct {
	*backoff.ExponentialBackOff
	left time.Duration
}

func newBudget(limit time.Duration) *budget {
	e := backoff.NewExponentialBackOff()
	e.InitialInterval = 200 * time.Millisecond
	e.MaxInterval = 15 * time.Second
	return &budget{ExponentialBackOff: e, left: limit}
}

// NextBackOff implements backoff.BackOff.
func (b *budget) NextBackOff() time.Duration {
	if b.left <= 0 {
		return backoff.Stop
	}
	pause := min(b.ExponentialBackOff.NextBackOff(), b.left)
	b.left -= pause
	return pause
}

// explain turns what the library returns into an [*Error].
func (s *s3Store) explain(ctx context.Context, op, key string, err error) error {
	if own, ok := callersOwn(ctx, op, key, err); ok {
		return own
	}
	hint, kind := diagnose(err)
	return &Error{Op: op, Key: key, Store: s.String(), Kind: kind, Err: withCode(err), Hint: hint}
}

// withCode shows the server's error code, which is what one searches the web for.
func withCode(err error) error {
	if code := minioCode(err); code != "" {
		return fmt.Errorf("%w (%s)", err, code)
	}
	return err
}

func minioCode(err error) string {
	var answer minio.ErrorResponse
	if errors.As(err, &answer) {
		return answer.Code
	}
	return ""
}

// diagnose says what kind of failure err is and what helps against it.
func diagnose(err error) (hint string, kind error) {
	var answer minio.ErrorResponse
	switch {
	case errors.Is(err, ErrTooLarge):
		return "", ErrTooLarge
	case errors.As(err, &answer):
		return diagnoseAnswer(answer)
	}
	return connectHint(err), ErrUnreachable
}

// Hints name the settings that every command has.
const (
	hintKeys = "check S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY"
	hintMay  = "allow these credentials s3:PutObject, s3:GetObject, s3:DeleteObject, s3:AbortMultipartUpload and " +
		"s3:ListMultipartUploadParts on the objects, s3:ListBucket and s3:ListBucketMultipartUploads on the bucket"
	hintClock  = "set this machine's clock (NTP)"
	hintBucket = "create the bucket or correct the name in BUCKET"
	hintRegion = "set S3_REGION to the bucket's region"
)

func diagnoseAnswer(a minio.ErrorResponse) (hint string, kind error) {
	switch a.Code {
	case minio.NoSuchKey:
		return "", ErrNotFound
	case "PreconditionFailed", "ConditionalRequestConflict":
		return "", ErrPrecondition
	case minio.NoSuchBucket, "InvalidBucketName":
		return hintBucket, ErrDenied
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "ExpiredTokenException",
		"TokenRefreshRequired", "XAdminUserNotFound": // the last is versitygw's, with a status of 404
		return hintKeys, ErrDenied
	case "RequestTimeTooSkewed", "RequestExpired":
		return hintClock, ErrDenied
	case "AuthorizationHeaderMalformed", "InvalidRegion", "PermanentRedirect", "IllegalLocationConstraintException":
		if a.Region != "" {
			return hintRegion + ", " + oneLine(a.Region), ErrDenied
		}
		return hintRegion, ErrDenied
	case minio.AccessDenied, "AllAccessDisabled", "AccountProblem":
		return hintMay, ErrDenied
	}
	return diagnoseStatus(a)
}

func diagnoseStatus(a minio.ErrorResponse) (hint string, kind error) {
	switch code := a.StatusCode; {
	case code == http.StatusPreconditionFailed:
		return "", ErrPrecondition
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return hintMay, ErrDenied
	case code == http.StatusMovedPermanently, code == http.StatusTemporaryRedirect:
		return hintRegion, ErrDenied
	case code >= 500 && code != http.StatusNotImplemented,
		code == http.StatusRequestTimeout, code == http.StatusTooManyRequests,
		transientCodes[a.Code]:
		return "", ErrUnreachable
	case code == http.StatusBadRequest && strings.HasPrefix(a.Message, "Client sent an HTTP request to an HTTPS"):
		return "write https:// in S3_ENDPOINT", ErrUnreachable
	}
	return "", nil
}

// transientCodes are failures that pass, some of which come with a status of 400 or 200. A damaged part (BadDigest) was
// damaged on the way: its hash was taken from the same file a moment before.
var transientCodes = map[string]bool{
	"RequestTimeout": true, "SlowDown": true, "InternalError": true, "ServiceUnavailable": true, "Throttling": true,
	"ThrottlingException": true, "RequestLimitExceeded": true, "RequestThrottled": true, "OperationAborted": true,
	"BadDigest": true, "XAmzContentSHA256Mismatch": true, "IncompleteBody": true, "RequestError": true,
}

// connectHint is for requests that got no answer.
func connectHint(err error) string {
	var (
		dns  *net.DNSError
		cert *x509.UnknownAuthorityError
		host x509.HostnameError
		unk  x509.UnknownAuthorityError
	)
	switch {
	case errors.As(err, &dns):
		return "check the host name in S3_ENDPOINT"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "is the server running, and S3_ENDPOINT its address?"
	case errors.As(err, &cert), errors.As(err, &unk), errors.As(err, &host):
		return "check the server's certificate, or name your authority's in SSL_CERT_FILE"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "write http:// in S3_ENDPOINT"
	}
	return "check S3_ENDPOINT and the network"
}

// joinedETag is the ETag that S3 gives an object whose parts have these.
func joinedETag(tags []string) string {
	h := md5.New()
	for _, tag := range tags {
		sum, err := hex.DecodeString(tag)
		if err != nil {
			return ""
		}
		h.Write(sum)
	}
	return fmt.Sprintf("%x-%d", h.Sum(nil), len(tags))
}
