package swarm

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"testing"
	"time"
)

func peersOf(t testing.TB, ages map[string]time.Duration, now time.Time) map[netip.AddrPort]time.Time {
	t.Helper()
	out := make(map[netip.AddrPort]time.Time)
	for addr, age := range ages {
		out[netip.MustParseAddrPort(addr)] = now.Add(-age)
	}
	return out
}

func TestOldPeersAreBoundedAndForgotten(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	many := make(map[string]time.Duration)
	for i := range 200 {
		many[fmt.Sprintf("192.0.2.%d:6881", i)] = time.Duration(i) * time.Minute
	}
	many["[2001:db8::1]:1"] = time.Second
	many["198.51.100.1:1"] = oldPeerTime
	many["198.51.100.2:1"] = -2 * oldPeerTime // a clock was wrong
	got := freshest(peersOf(t, many, now), now)
	if len(got) != maxOldPeers {
		t.Errorf("%d peers are kept, want %d", len(got), maxOldPeers)
	}
	for addr, want := range map[string]bool{"[2001:db8::1]:1": true, "192.0.2.0:6881": true, "192.0.2.48:6881": true, "192.0.2.49:6881": false, "198.51.100.1:1": false, "198.51.100.2:1": false} {
		if _, ok := got[netip.MustParseAddrPort(addr)]; ok != want {
			t.Errorf("%s is kept: %t, want %t", addr, ok, want)
		}
	}
	b := encodeOldPeers(got)
	if back, err := parseOldPeers(b); err != nil || !maps.EqualFunc(back, got, time.Time.Equal) {
		t.Errorf("what is written down reads as %v, %v; want %v", back, err, got)
	}
	if len(b) > maxOldPeersFile {
		t.Errorf("the file has %d bytes, more than will be read", len(b))
	}
}

func FuzzParseOldPeers(f *testing.F) {
	f.Add([]byte("1800000000 192.0.2.1:6881\n1800000001 [2001:db8::1]:1\n"))
	f.Add([]byte("1 1.2.3.4:0\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		peers, err := parseOldPeers(b)
		if err != nil {
			if !errors.Is(err, errBadPeers) {
				t.Errorf("error %v does not wrap errBadPeers", err)
			}
			return
		}
		back, err := parseOldPeers(encodeOldPeers(peers))
		if err != nil && len(encodeOldPeers(peers)) <= maxOldPeersFile || err == nil && !maps.EqualFunc(peers, back, time.Time.Equal) {
			t.Errorf("accepted peers read again as %v, %v; want %v", back, err, peers)
		}
	})
}
