package dht_test

import (
	"bytes"
	"testing"

	"github.com/anacrolix/dht/v2/krpc"
	"github.com/anacrolix/torrent/bencode"

	"snapswarm/common/dht"
)

// FuzzQuery lets a node answer any packet. What it answers has to be a message, as another
// implementation reads it, that fits into a packet.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa6:target20:bbbbbbbbbbbbbbbbbbbb4:wantl2:n4ee1:q9:find_node1:t2:aa1:y1:qe",
		"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa6:target20:bbbbbbbbbbbbbbbbbbbb3:seqi4ee1:q3:get1:t2:aa1:y1:qe",
		"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa9:info_hash20:bbbbbbbbbbbbbbbbbbbbe1:q9:get_peers1:t2:aa1:y1:qe",
		"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa12:implied_porti1e9:info_hash20:bbbbbbbbbbbbbbbbbbbb5:token1:xe1:q13:announce_peer1:t2:aa1:y1:qe",
		"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaa5:token1:x1:vd1:xi1ee3:seqi1ee1:q3:put1:t1:a1:y1:qe",
		"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:what1:t2:aa1:y1:qe",
	} {
		f.Add([]byte(s))
	}
	answer := dht.Answerer()
	f.Fuzz(func(t *testing.T, b []byte) {
		reply, ok := answer(b)
		if !ok {
			return
		}
		var m krpc.Msg
		if err := bencode.Unmarshal(reply, &m); err != nil || len(reply) > 2048 || m.R == nil && m.E == nil {
			t.Errorf("%q was answered with %q: %v", b, reply, err)
		}
	})
}

// FuzzReply lets a lookup and a search for peers take any packet as a reply.
func FuzzReply(f *testing.F) {
	for _, s := range []string{
		"d2:ip6:aaaabb1:rd2:id20:aaaaaaaaaaaaaaaaaaaa6:valuesl6:aaaabbee1:t2:aa1:y1:re",
		"d1:rd2:id20:aaaaaaaaaaaaaaaaaaaa5:nodes26:bbbbbbbbbbbbbbbbbbbb\x7f\x00\x00\x01\x00\x01e1:t2:aa1:y1:re",
		"d1:rd2:id20:aaaaaaaaaaaaaaaaaaaa3:seqi5e3:sig64:" +
			"ssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss1:v2:xxe1:t2:aa1:y1:re",
		"d1:eli201e1:xe1:t2:aa1:y1:ee",
	} {
		f.Add([]byte(s))
	}
	hear := dht.Hearer(testChannel())
	f.Fuzz(func(t *testing.T, b []byte) {
		valid, nodes := hear(b)
		if valid > 0 {
			t.Errorf("%q is a record signed by the test key", b)
		}
		if nodes > 16 {
			t.Errorf("%q made %d nodes be asked", b, nodes)
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
