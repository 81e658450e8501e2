package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// s3Store is a [Store] in an S3-compatible bucket. All fields but conditions are set once.
type s3Store struct {
	core     minio.Core
	bucket   string
	prefix   string // empty or with a slash at its end
	endpoint *url.URL
	patience patience
	parallel int
	log      *slog.Logger
	metrics  *metrics

	conditions atomic.Int32 // one of conditionsUnknown, conditionsKept, conditionsIgnored
}

func openS3(cfg Config, at location) (Store, error) {
	endpoint, err := parseEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	creds, err := s3Credentials(cfg, endpoint)
	if err != nil {
		return nil, err
	}
	core, err := minio.NewCore(endpoint.Host, s3Options(cfg, endpoint, creds))
	if err != nil {
		return nil, fmt.Errorf("%w: S3 endpoint %s: %w", ErrBadConfig, endpoint, err)
	}
	m, err := newMetrics()
	if err != nil {
		return nil, fmt.Errorf("make instruments: %w", err)
	}
	s := &s3Store{
		core: *core, bucket: at.bucket, endpoint: endpoint, parallel: cfg.Parallel, log: cfg.Log, metrics: m,
		patience: patience{retry: cfg.RetryFor, stall: cfg.StallAfter},
	}
	if at.prefix != "" {
		s.prefix = at.prefix + "/"
	}
	return s, nil
}

func s3Credentials(cfg Config, endpoint *url.URL) (*credentials.Credentials, error) {
	switch {
	case cfg.AccessKeyID != "" && cfg.SecretAccessKey != "":
		return credentials.NewStaticV4(cfg.AccessKeyID, cfg.SecretAccessKey, cfg.SessionToken), nil
	case cfg.AccessKeyID != "" || cfg.SecretAccessKey != "":
		return nil, fmt.Errorf("%w: set both S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY, or neither", ErrBadConfig)
	case !s3utils.IsAmazonEndpoint(*endpoint):
		return nil, fmt.Errorf("%w: %s needs S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY", ErrBadConfig, endpoint.Host)
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}, &credentials.IAM{},
	}), nil
}

func s3Options(cfg Config, endpoint *url.URL, creds *credentials.Credentials) *minio.Options {
	o := &minio.Options{
		Creds:        creds,
		Secure:       endpoint.Scheme == "https",
		Region:       cfg.Region,
		BucketLookup: minio.BucketLookupAuto,
		Transport:    s3Transport(cfg.Parallel),
		// The retries are ours: with progress deadlines, a budget and a log line.
		MaxRetries: 1,
		// Checksums travel in signed headers. The trailers of this library are misread by versitygw over plain http.
		TrailingHeaders: false,
	}
	if !s3utils.IsAmazonEndpoint(*endpoint) {
		o.BucketLookup = minio.BucketLookupPath // no wildcard names or certificates needed
		if o.Region == "" {
			o.Region = defaultRegion // else each process asks for it first, which needs one more permission
		}
	}
	return o
}

// s3Transport goes through the environment's proxy: the endpoint is the operator's own setting. It has no limit for the
// answer's header, because completing a large upload takes minutes; the watchdog has limits for both.
func s3Transport(parallel int) http.RoundTripper {
	dialer := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		IdleConnTimeout:        time.Minute,
		MaxIdleConnsPerHost:    parallel + 2,
		MaxResponseHeaderBytes: 64 << 10,
		WriteBufferSize:        64 << 10,
		DisableCompression:     true,
	}
}

func (s *s3Store) String() string {
	return "s3://" + s.bucket + "/" + s.prefix + " at " + s.endpoint.Host
}

// name is the object's name in the bucket.
func (s *s3Store) name(key string) string { return s.prefix + key }

// PutFile implements [Store].
func (s *s3Store) PutFile(ctx context.Context, key, path string, o PutOptions) error {
	f, size, err := openSource(path)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	defer f.Close()
	return s.Put(ctx, key, f, size, o)
}

// openSource opens a regular file for an upload.
func openSource(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// Get implements [Store].
func (s *s3Store) Get(ctx context.Context, key string, limit int64) ([]byte, error) {
	found, err := s.get(ctx, key, limit)
	return found.Body, err
}

// get is one answer to a request for an object.
func (s *s3Store) get(ctx context.Context, key string, limit int64) (Found, error) {
	var found Found
	err := s.tryObject(ctx, "get", key, func(ctx context.Context, dog *watchdog) error {
		r, info, header, err := s.core.GetObject(ctx, s.bucket, s.name(key), minio.GetObjectOptions{})
		if err != nil {
			return err
		}
		defer r.Close()
		if info.Size > limit {
			return fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, info.Size, limit)
		}
		found.Info = Info{Key: key, Size: info.Size, ETag: info.ETag, Modified: info.LastModified}
		found.Asked, _ = http.ParseTime(header.Get("Date")) // a server may have no clock (RFC 9110, section 6.6.1)
		found.Body, err = readLimited(&patReader{r: r, dog: dog}, limit)
		return err
	})
	if err != nil {
		return Found{}, err
	}
	return found, nil
}

// readLimited reads to the end, but never more than limit bytes.
func readLimited(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return body, nil
}

// patReader keeps the watchdog calm while bytes come in.
type patReader struct {
	r   io.Reader
	dog *watchdog
}

func (p *patReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if n > 0 {
		p.dog.pat()
	}
	return n, err
}

// Stat implements [Store].
func (s *s3Store) Stat(ctx context.Context, key string) (Info, error) {
	var info Info
	err := s.tryObject(ctx, "stat", key, func(ctx context.Context, _ *watchdog) error {
		o, err := s.core.StatObject(ctx, s.bucket, s.name(key), minio.StatObjectOptions{})
		info = Info{Key: key, Size: o.Size, ETag: o.ETag, Modified: o.LastModified}
		return err
	})
	if err != nil {
		return Info{}, err
	}
	return info, nil
}

// List implements [Store]. A page that fails is asked for again from the last key on.
func (s *s3Store) List(ctx context.Context, prefix string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		var last string
		more := true
		err := s.try(ctx, "list", prefix, s.patience, func(ctx context.Context, dog *watchdog) error {
			o := minio.ListObjectsOptions{Prefix: s.name(prefix), Recursive: true, StartAfter: last}
			for object := range s.core.ListObjectsIter(ctx, s.bucket, o) {
				if object.Err != nil {
					return object.Err
				}
				last = object.Key
				info := Info{
					Key: strings.TrimPrefix(object.Key, s.prefix), Size: object.Size,
					ETag: strings.Trim(object.ETag, `"`), Modified: object.LastModified,
				}
				dog.rest() // what the caller does between two objects is not the store's delay
				if more = yield(info, nil); !more {
					return nil
				}
				dog.pat()
			}
			return ctx.Err()
		})
		if err != nil && more {
			yield(Info{}, err)
		}
	}
}

// Delete implements [Store].
func (s *s3Store) Delete(ctx context.Context, key string) error {
	return s.tryObject(ctx, "delete", key, func(ctx context.Context, _ *watchdog) error {
		return s.core.RemoveObject(ctx, s.bucket, s.name(key), minio.RemoveObjectOptions{})
	})
}

// checkKey is an object that never comes to be.
const checkKey = "write-check"

// Check implements [Store]: it begins an upload and abandons it, which needs the rights of a real one.
func (s *s3Store) Check(ctx context.Context) error {
	once := patience{retry: -1, stall: min(s.patience.stall, 20*time.Second)}
	return s.try(ctx, "check", "", once, func(ctx context.Context, _ *watchdog) error {
		id, err := s.core.NewMultipartUpload(ctx, s.bucket, s.name(checkKey), minio.PutObjectOptions{})
		if err != nil {
			return err
		}
		return unlessGone(s.core.AbortMultipartUpload(ctx, s.bucket, s.name(checkKey), id)) // a Sweep may be faster
	})
}
