//go:build e2e

package e2e_test

import (
	"path/filepath"
	"strings"
	"testing"

	"snapswarm/common/bucket/s3test"
	"snapswarm/docker/stack"
)

// TestIntoAnotherS3Server publishes into versitygw as a process of its own, in several parts, keeps one version there, and
// reads from it with nothing else at hand.
func TestIntoAnotherS3Server(t *testing.T) {
	s3 := s3test.NewProcess(t)
	w := newWorld(t)
	source := w.ledger(40 << 20) // goes up in parts
	producer := alone(stack.Env{
		"BUCKET": "s3://" + s3.Bucket + "/chains/test", "PUBLIC_URL": "", "S3_ENDPOINT": s3.Endpoint, "S3_REGION": s3.Region,
		"S3_ACCESS_KEY_ID": s3.AccessKey, "S3_SECRET_ACCESS_KEY": s3.SecretKey, "SNAPSHOT_RETENTION_COUNT": "1",
	})
	base := s3.PublicURL() + "/chains/test"
	mirror := alone(stack.Env{"BUCKET_URL": base, "RETAIN": "0"})
	var gone string
	for i := range 2 {
		w.write(filepath.Join(source, "data.ldb"), random(byte(i), 40<<20), 0o644)
		if e := w.run("publisher", "producer", []string{"publish", source}, producer); e.code != 0 {
			t.Fatal(e)
		}
		e := w.once("mirror", mirror, "--extract")
		if e.code != 0 {
			t.Fatal(e)
		}
		path := strings.TrimSuffix(e.stdout, "\n")
		w.sameTree(path, source)
		if gone != "" {
			if status, _, _ := w.get(base + "/" + w.Channel.Salt + "/" + gone + "/ledger.tar.zst"); status != 404 {
				t.Errorf("the first version is still in the bucket: %d", status)
			}
		}
		gone = filepath.Base(path)
	}
}
