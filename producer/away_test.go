package main

import (
	"strings"
	"testing"
	"time"

	"snapswarm/common/daemon"
)

func TestABucketThatIsAwayIsToldSoon(t *testing.T) {
	w := newWorld(t)
	w.set("BUCKET", "s3://bucket")
	w.set("S3_ENDPOINT", "http://127.0.0.1:1")
	w.set("S3_ACCESS_KEY_ID", "id")
	w.set("S3_SECRET_ACCESS_KEY", "not-shown")
	for _, args := range [][]string{{"publish", w.source}, {"status"}} {
		began := time.Now()
		code, _, errs := w.run(t.Context(), args...)
		if code != daemon.ExitBucket || !strings.Contains(errs, "S3_ENDPOINT") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit %d, want %d: %s", args[0], code, daemon.ExitBucket, errs)
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s took %v", args[0], took)
		}
	}
}
