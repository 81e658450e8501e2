package s3test

import (
	"testing"
	"time"

	"snapswarm/common/bucket"
)

// New starts a server for a test, in a temporary folder, and stops it at the end of the test. While another test of
// this process has one, it waits.
func New(tb testing.TB) *Server {
	tb.Helper()
	select {
	case turn <- struct{}{}:
	case <-time.After(5 * time.Minute):
		tb.Fatal("the S3 server of another test does not end")
	}
	s, err := startHolding(tb.Context(), Config{Dir: tb.TempDir()})
	if err != nil {
		<-turn
		tb.Fatalf("start S3 server: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("stop S3 server: %v", err)
		}
	})
	return s
}

// StoreConfig is what [bucket.Open] needs to write below prefix of the server's bucket; prefix may be empty.
func (s *Server) StoreConfig(prefix string) bucket.Config {
	return bucket.Config{
		URL: "s3://" + s.Bucket + "/" + prefix, Endpoint: s.Endpoint, Region: s.Region,
		AccessKeyID: s.AccessKey, SecretAccessKey: s.SecretKey,
	}
}
