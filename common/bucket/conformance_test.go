package bucket_test

import (
	"log/slog"
	"strings"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/common/bucket/buckettest"
	"snapswarm/common/bucket/s3test"
)

func TestDirectoryConforms(t *testing.T) {
	buckettest.Conformance(t, func(t *testing.T) bucket.Store {
		return open(t, bucket.Config{URL: "file://" + t.TempDir()})
	})
}

func TestEmbeddedS3Conforms(t *testing.T) {
	conformS3(t, s3test.New(t))
}

func TestVersitygwConforms(t *testing.T) {
	conformS3(t, s3test.NewProcess(t))
}

// conformS3 gives every subtest its own prefix.
func conformS3(t *testing.T, s *s3test.Server) {
	buckettest.Conformance(t, func(t *testing.T) bucket.Store {
		name := strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))
		return open(t, s.StoreConfig("suite/"+name))
	})
}

func open(t *testing.T, cfg bucket.Config) bucket.Store {
	t.Helper()
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	s, err := bucket.Open(cfg)
	if err != nil {
		t.Fatalf("Open(%v): %v", cfg, err)
	}
	return s
}
