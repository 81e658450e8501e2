package dht_test

import (
	"bytes"
	"testing"

	"github.com/anacrolix/dht/v2/krpc"
	"github.com/anacrolix/torrent/bencode"

	"snapswarm/common/dht"
)

// FuzzPacket shows that what passes the wall can be handled: the library decodes it without a panic
// and finds what it takes for granted.
func FuzzPacket(f *testing.F) {
	for _, s := range []string{
		"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:aa1:y1:qe",
		"d2:ip6:aaaabb1:rd2:id20:aaaaaaaaaaaaaaaaaaaa6:valuesl6:aaaabbee1:t2:aa1:y1:re",
		"d1:eli201e1:xe1:t2:aa1:y1:ee",
		"d2:ip1:x1:t1:a1:y1:qe",
		"d1:q13:announce_peer1:t1:a1:y1:qe",
		"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa1:vd1:xi1ee3:seqi1ee1:q3:put1:t1:a1:y1:qe",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if !dht.WellFormed(b) {
			return
		}
		var m krpc.Msg
		_ = bencode.Unmarshal(b, &m)
		switch {
		case m.Y == "q" && m.A != nil:
			_, _ = bencode.Marshal(m.A.V)
		case m.Y == "r" && m.R != nil:
			for _, p := range m.R.Values {
				_ = p.ToNodeAddrPort().UDP().String()
			}
		case m.Y == "e" && m.E != nil:
		default:
			t.Errorf("%q passed", b)
		}
	})
}

func FuzzTable(f *testing.F) {
	f.Add([]byte("snapswarm-dht 1\nid 0000000000000000000000000000000000000001\noutside 10.0.0.1\n" +
		"node 0000000000000000000000000000000000000002 127.0.0.1:1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := dht.ReencodeTable(b, true)
		if err != nil {
			return
		}
		second, err := dht.ReencodeTable(first, true)
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("%q became %q, then %q, %v", b, first, second, err)
		}
	})
}
