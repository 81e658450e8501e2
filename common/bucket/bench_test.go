package bucket_test

import (
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/common/bucket/s3test"
)

// BenchmarkPutParts uploads 256 MiB in parts to a server process. The bytes allocated per operation show that nothing is
// buffered.
func BenchmarkPutParts(b *testing.B) {
	server := s3test.NewProcess(b)
	s, err := bucket.Open(server.StoreConfig(""))
	if err != nil {
		b.Fatal(err)
	}
	const size = 256 << 20
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Put(b.Context(), object, zeros{}, size, bucket.PutOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}
