package follow

import "testing"

func TestShares(t *testing.T) {
	for _, tt := range []struct {
		peers, origin int64
		connected     int
		want          string
	}{
		{0, 0, 0, "no peers yet"},
		{0, 0, 2, "2 peers"},
		{0, 100, 0, "all from the bucket"},
		{0, 100, 1, "all from the bucket, beside 1 peer"},
		{100, 0, 3, "all from 3 peers"},
		{100, 0, 0, "all from peers"},
		{60, 40, 2, "60% from 2 peers, 40% from the bucket"},
		{60, 40, 0, "60% from peers, 40% from the bucket"},
		{1, 1 << 40, 1, "1% from 1 peer, 99% from the bucket"},
		{1 << 40, 1, 1, "99% from 1 peer, 1% from the bucket"},
	} {
		if got := shares(tt.peers, tt.origin, tt.connected); got != tt.want {
			t.Errorf("shares(%d, %d, %d) = %q, want %q", tt.peers, tt.origin, tt.connected, got, tt.want)
		}
	}
}
