package bucket

import (
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/s3utils"
)

// Config says where a [Store] is and how to get in.
type Config struct {
	// URL is s3://name, s3://name/prefix or file:///absolute/dir.
	URL string
	// Endpoint is the S3 server, as https://host, http://host:port or host (meaning https). Empty means AWS.
	Endpoint string
	// Region is the S3 region. Empty means: ask AWS, or us-east-1 for other servers.
	Region string
	// AccessKeyID and SecretAccessKey are the credentials. When both are empty and the endpoint is AWS, they are taken
	// from AWS's variables, its credentials file, or the machine's role, in this order.
	AccessKeyID string
	// SecretAccessKey is never printed.
	SecretAccessKey string
	// SessionToken belongs to temporary credentials.
	SessionToken string
	// RetryFor is how long a failing request waits, in total, before its repetitions end. 0 means 5 minutes, negative
	// none at all.
	RetryFor time.Duration
	// StallAfter is how long a request may make no progress before it is cut off and repeated. 0 means 1 minute.
	StallAfter time.Duration
	// Parallel is the number of parts in flight at once in an upload. 0 means 4.
	Parallel int
	// Log gets a line for each repeated request. Nil means none.
	Log *slog.Logger
}

// Default values of [Config].
const (
	defaultRetryFor   = 5 * time.Minute
	defaultStallAfter = time.Minute
	defaultParallel   = 4
	defaultRegion     = "us-east-1"
	awsEndpoint       = "https://s3.amazonaws.com"
)

// String is the configuration without its secrets.
func (c Config) String() string {
	return fmt.Sprintf("%s (endpoint %q, region %q, access key %q)", c.URL, c.Endpoint, c.Region, c.AccessKeyID)
}

// GoString keeps the secrets out of %#v too.
func (c Config) GoString() string { return c.String() }

// LogValue keeps the secrets out of logs.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Open makes the store that cfg describes. It does not connect: see Store.Check. A directory must exist and is opened
// at once. Errors wrap [ErrBadConfig] or come from the file system.
func Open(cfg Config) (Store, error) {
	cfg = cfg.withDefaults()
	at, err := parseStoreURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	if at.dir != "" {
		return openDir(at.dir)
	}
	return openS3(cfg, at)
}

func (c Config) withDefaults() Config {
	if c.RetryFor == 0 {
		c.RetryFor = defaultRetryFor
	}
	if c.StallAfter <= 0 {
		c.StallAfter = defaultStallAfter
	}
	if c.Parallel <= 0 {
		c.Parallel = defaultParallel
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// PublicURL is the address under which everybody can read what a store of this configuration holds, as far as it
// follows from the configuration: of a bucket whose policy allows anonymous reading. A directory has none; there the
// operator has to say it.
func PublicURL(cfg Config) (string, error) {
	at, err := parseStoreURL(cfg.URL)
	if err != nil {
		return "", err
	}
	if at.dir != "" {
		return "", fmt.Errorf("%w: a directory (%s) has no address of its own; set PUBLIC_URL to where it is served",
			ErrBadConfig, cfg.URL)
	}
	endpoint, err := parseEndpoint(cfg.Endpoint)
	if err != nil {
		return "", err
	}
	public := &url.URL{Scheme: endpoint.Scheme, Host: endpoint.Host}
	if s3utils.IsAmazonEndpoint(*endpoint) {
		public.Host = awsHost(at.bucket, cfg.Region)
		if strings.Contains(at.bucket, ".") { // no certificate covers bucket.with.dots.s3…
			public.Host = awsHost("", cfg.Region)
			public = public.JoinPath(at.bucket)
		}
	} else {
		public = public.JoinPath(at.bucket)
	}
	return strings.TrimSuffix(public.JoinPath(at.prefix).String(), "/"), nil
}

func awsHost(bucket, region string) string {
	host := "s3.amazonaws.com"
	if region != "" {
		host = "s3." + region + ".amazonaws.com"
	}
	if strings.HasPrefix(region, "cn-") {
		host += ".cn"
	}
	if bucket != "" {
		host = bucket + "." + host
	}
	return host
}

// location is a parsed store URL: a bucket with a prefix, or a directory.
type location struct {
	bucket string
	prefix string // without slashes at its ends
	dir    string
}

func parseStoreURL(s string) (location, error) {
	u, err := url.Parse(s)
	if err != nil {
		return location{}, fmt.Errorf("%w: bucket %q: want s3://name/prefix or file:///dir", ErrBadConfig, clip(s))
	}
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Opaque != "" {
		return location{}, fmt.Errorf("%w: bucket: want s3://name/prefix or file:///dir and nothing else", ErrBadConfig)
	}
	switch u.Scheme {
	case "s3":
		return parseS3URL(u)
	case "file":
		return parseFileURL(u)
	}
	return location{}, fmt.Errorf("%w: bucket %q: want s3://name/prefix or file:///dir", ErrBadConfig, clip(s))
}

func parseS3URL(u *url.URL) (location, error) {
	at := location{bucket: u.Host, prefix: strings.Trim(u.Path, "/")}
	if err := s3utils.CheckValidBucketName(at.bucket); err != nil {
		return location{}, fmt.Errorf("%w: bucket %q: %w", ErrBadConfig, clip(at.bucket), err)
	}
	if at.prefix != "" {
		if err := CheckKey(at.prefix); err != nil {
			return location{}, fmt.Errorf("%w: prefix of bucket %s: %w", ErrBadConfig, at.bucket, err)
		}
	}
	return at, nil
}

func parseFileURL(u *url.URL) (location, error) {
	if u.Host != "" && u.Host != "localhost" {
		return location{}, fmt.Errorf("%w: bucket %q: three slashes are needed, as in file:///dir", ErrBadConfig, clip(u.String()))
	}
	if !filepath.IsAbs(u.Path) || filepath.Clean(u.Path) == string(filepath.Separator) {
		return location{}, fmt.Errorf("%w: bucket %q: want the absolute path of a directory", ErrBadConfig, clip(u.String()))
	}
	return location{dir: filepath.Clean(u.Path)}, nil
}

// parseEndpoint reads the address of an S3 server; the empty string means AWS.
func parseEndpoint(s string) (*url.URL, error) {
	text := s
	switch {
	case text == "":
		text = awsEndpoint
	case !strings.Contains(text, "://"):
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%w: S3 endpoint %q: want https://host or http://host:port", ErrBadConfig, clip(s))
	}
	if strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%w: S3 endpoint on host %q: want no path, query or password in it", ErrBadConfig, clip(u.Host))
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}
