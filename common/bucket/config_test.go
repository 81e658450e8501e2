package bucket_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"snapswarm/common/bucket"
)

func TestOpenRefuses(t *testing.T) {
	keys := bucket.Config{Endpoint: "http://127.0.0.1:1", AccessKeyID: "a", SecretAccessKey: "hunter2"}
	for name, change := range map[string]func(*bucket.Config){
		"no URL":                  func(c *bucket.Config) { c.URL = "" },
		"a plain path":            func(c *bucket.Config) { c.URL = "/srv" },
		"another scheme":          func(c *bucket.Config) { c.URL = "gs://chain" },
		"an impossible bucket":    func(c *bucket.Config) { c.URL = "s3://ab" },
		"no bucket":               func(c *bucket.Config) { c.URL = "s3:///prefix" },
		"a climbing prefix":       func(c *bucket.Config) { c.URL = "s3://chain/a/../../b" },
		"a password in the URL":   func(c *bucket.Config) { c.URL = "s3://a:hunter2@chain" },
		"a query":                 func(c *bucket.Config) { c.URL = "s3://chain?region=x" },
		"file with two slashes":   func(c *bucket.Config) { c.URL = "file://srv/data" },
		"the root directory":      func(c *bucket.Config) { c.URL = "file:///" },
		"a missing directory":     func(c *bucket.Config) { c.URL = "file:///nonexistent/dir" },
		"a path in the endpoint":  func(c *bucket.Config) { c.Endpoint = "https://host/bucket" },
		"another endpoint scheme": func(c *bucket.Config) { c.Endpoint = "s3://host" },
		"no secret":               func(c *bucket.Config) { c.SecretAccessKey = "" },
		"no key":                  func(c *bucket.Config) { c.AccessKeyID = "" },
		"no credentials":          func(c *bucket.Config) { c.AccessKeyID, c.SecretAccessKey = "", "" },
	} {
		cfg := keys
		cfg.URL = "s3://chain/prefix"
		change(&cfg)
		_, err := bucket.Open(cfg)
		if !errors.Is(err, bucket.ErrBadConfig) {
			t.Errorf("%s: Open: %v, want ErrBadConfig", name, err)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: Open: %q, want one line without the secret", name, err)
		}
	}
}

func TestConfigHidesItsSecrets(t *testing.T) {
	cfg := bucket.Config{URL: "s3://chain", AccessKeyID: "visible", SecretAccessKey: "hunter2", SessionToken: "hunter2"}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("open", "bucket", cfg)
	for _, shown := range []string{fmt.Sprint(cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg), log.String()} {
		if strings.Contains(shown, "hunter2") || !strings.Contains(shown, "visible") {
			t.Errorf("shown as %q, want the key without the secret", shown)
		}
	}
}

func TestPublicURL(t *testing.T) {
	for _, test := range []struct{ url, endpoint, region, want string }{
		{"s3://chain/a b", "http://127.0.0.1:9000", "", "http://127.0.0.1:9000/chain/a%20b"},
		{"s3://chain", "s3.example.com", "x", "https://s3.example.com/chain"},
		{"s3://chain/snap", "", "eu-central-1", "https://chain.s3.eu-central-1.amazonaws.com/snap"},
		{"s3://chain", "https://s3.eu-central-1.amazonaws.com", "eu-central-1", "https://chain.s3.eu-central-1.amazonaws.com"},
		{"s3://chain", "", "", "https://chain.s3.amazonaws.com"},
		{"s3://chain", "", "cn-north-1", "https://chain.s3.cn-north-1.amazonaws.com.cn"},
		{"s3://my.chain", "", "eu-west-1", "https://s3.eu-west-1.amazonaws.com/my.chain"},
	} {
		got, err := bucket.PublicURL(bucket.Config{URL: test.url, Endpoint: test.endpoint, Region: test.region})
		if err != nil || got != test.want {
			t.Errorf("PublicURL(%s at %q) = %q, %v; want %q", test.url, test.endpoint, got, err, test.want)
		}
	}
	if got, err := bucket.PublicURL(bucket.Config{URL: "file:///srv/snap"}); !errors.Is(err, bucket.ErrBadConfig) {
		t.Errorf("PublicURL of a directory = %q, %v; want ErrBadConfig", got, err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("s3://chain/prefix", "https://host:1")
	f.Add("s3://chain", "host")
	f.Add("file://localhost/nonexistent", "")
	f.Fuzz(func(t *testing.T, url, endpoint string) {
		if strings.HasPrefix(strings.ToLower(url), "file:") && !strings.Contains(url, "nonexistent") {
			return // no real directories
		}
		s, err := bucket.Open(bucket.Config{URL: url, Endpoint: endpoint, AccessKeyID: "a", SecretAccessKey: "hunter2"})
		if err != nil && !errors.Is(err, bucket.ErrBadConfig) {
			t.Errorf("Open(%q, %q): %v, want ErrBadConfig", url, endpoint, err)
		}
		if err == nil && (s.String() == "" || strings.ContainsAny(s.String(), "\n\r\x00")) {
			t.Errorf("Open(%q, %q) is called %q", url, endpoint, s)
		}
	})
}
