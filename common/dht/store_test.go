package dht_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/anacrolix/dht/v2/krpc"
	"github.com/anacrolix/torrent/bencode"

	"snapswarm/common/dht"
	"snapswarm/common/pointer"
)

// writer is a foreign node that puts to one node, with a token from it.
type writer struct {
	t     *testing.T
	conn  *net.UDPConn
	node  *dht.Node
	token string
}

func newWriter(t *testing.T, n *dht.Node) *writer {
	t.Helper()
	w := &writer{t: t, conn: listen(t), node: n}
	t.Cleanup(func() { w.conn.Close() })
	w.token = *w.get(strings.Repeat("x", 20)).Token
	return w
}

func (w *writer) get(target string) *krpc.Return {
	w.t.Helper()
	m, ok := query(w.t, w.conn, w.node, "get", dict{"target": target})
	if !ok || m.R == nil || m.R.Token == nil {
		w.t.Fatalf("get = %+v, %v", m, ok)
	}
	return m.R
}

// put returns the code of the error that the node replied with; 0 means that it took it.
func (w *writer) put(args dict) int {
	w.t.Helper()
	full := dict{"token": w.token}
	for k, v := range args {
		full[k] = v
	}
	m, ok := query(w.t, w.conn, w.node, "put", full)
	if !ok {
		w.t.Fatal("no reply to put")
	}
	if m.E != nil {
		return m.E.Code
	}
	return 0
}

// value is a mutable item of the test key, signed.
func value(seq int64, v string) dict {
	key := testKey()
	return dict{
		"k": []byte(key.Public().(ed25519.PublicKey)), "salt": "s", "seq": seq, "v": v,
		"sig": ed25519.Sign(key, fmt.Appendf(nil, "4:salt1:s3:seqi%de1:v%d:%s", seq, len(v), v)),
	}
}

func TestStoreFollowsBEP44(t *testing.T) {
	w := newWriter(t, startNode(t, dht.Config{Bootstrap: []string{}}))
	for _, step := range []struct {
		name string
		args dict
		want int
	}{
		{"a bad token", with(value(1, "a"), "token", "xx"), 203},
		{"a first value", value(5, "five"), 0},
		{"the same again", value(5, "five"), 0},
		{"another value of the same seq", value(5, "FIVE"), 302},
		{"an older one", value(4, "four"), 302},
		{"a wrong signature", with(value(6, "six"), "v", "SIX"), 206},
		{"a value of 1001 bytes", value(6, strings.Repeat("x", 997)), 205},
		{"a salt of 65 bytes", with(value(6, "six"), "salt", strings.Repeat("s", 65)), 207},
		{"no seq", without(value(6, "six"), "seq"), 203},
		{"no value", without(value(6, "six"), "v"), 203},
		{"cas that does not match", with(value(6, "six"), "cas", 4), 301},
		{"cas that matches", with(value(6, "six"), "cas", 5), 0},
		{"no cas after one with", value(7, "seven"), 0},
		{"an immutable item", dict{"v": "anything"}, 0},
	} {
		if got := w.put(step.args); got != step.want {
			t.Errorf("put of %s: error %d, want %d", step.name, got, step.want)
		}
	}
	target := valueTarget()
	if r := w.get(target); string(r.V) != "5:seven" || r.Seq == nil || *r.Seq != 7 || r.K == [32]byte{} || r.Sig == [64]byte{} {
		t.Errorf("get = %+v, want seven", r)
	}
	m, _ := query(t, w.conn, w.node, "get", dict{"target": target, "seq": 7})
	if m.R == nil || len(m.R.V) > 0 || m.R.Seq == nil || *m.R.Seq != 7 {
		t.Errorf("get of what is newer than 7 = %+v, want the seq alone", m.R)
	}
	if r := w.get("\xa7\x86\x26\xb4\xf0\x1d\xac\x28\x18\x57\x2f\xe5\x18\x5e\x6a\x45\x2c\xf9\xfe\x4b"); len(r.V) > 0 {
		t.Errorf("get of nothing = %q", r.V)
	}
}

// valueTarget is the target of value's items.
func valueTarget() string {
	ch := testChannel()
	ch.Salt = "s"
	at := pointer.Target(ch)
	return string(at[:])
}

func TestItemsExpireAfterTwoHours(t *testing.T) {
	clock := newClock()
	w := newWriter(t, startNode(t, dht.Config{Bootstrap: []string{}, Now: clock.now}))
	w.put(value(5, "five"))
	clock.advance(time.Hour + 59*time.Minute)
	if r := w.get(valueTarget()); len(r.V) == 0 {
		t.Error("gone before its time")
	}
	w.token = *w.get(valueTarget()).Token // the old token expired, too
	if code := w.put(value(5, "five")); code != 0 {
		t.Errorf("put again = error %d", code)
	}
	clock.advance(time.Hour + 59*time.Minute)
	if r := w.get(valueTarget()); len(r.V) == 0 {
		t.Error("putting again did not prolong its life")
	}
	clock.advance(time.Minute)
	if r := w.get(valueTarget()); len(r.V) > 0 || r.Seq != nil {
		t.Errorf("still there after two hours: %+v", r)
	}
	if got := w.node.Stats().Items; got != 0 {
		t.Errorf("%d items kept, want 0", got)
	}
}

func TestTokensExpire(t *testing.T) {
	clock := newClock()
	w := newWriter(t, startNode(t, dht.Config{Bootstrap: []string{}, Now: clock.now}))
	clock.advance(5 * time.Minute)
	if code := w.put(value(5, "five")); code != 0 {
		t.Errorf("put with a token of five minutes = error %d", code)
	}
	clock.advance(6 * time.Minute)
	if code := w.put(value(6, "six")); code != 203 {
		t.Errorf("put with a token of eleven minutes = error %d, want 203", code)
	}
}

func TestFullStoreDropsWhatWasPutLeastRecently(t *testing.T) {
	n := startNode(t, dht.Config{Bootstrap: []string{}, MaxItems: 3})
	w := newWriter(t, n)
	w.put(value(1, "kept"))
	for i := range 2 {
		w.put(dict{"v": fmt.Sprint(i)})
	}
	w.put(value(1, "kept")) // now the most recent
	for i := range 2 {
		w.put(dict{"v": fmt.Sprint(10 + i)})
	}
	if r := w.get(valueTarget()); string(r.V) != "4:kept" {
		t.Errorf("the item put again is %q", r.V)
	}
	if got := n.Stats().Items; got != 3 {
		t.Errorf("%d items kept, want 3", got)
	}
}

func TestOneAddressCannotPutWithoutEnd(t *testing.T) {
	clock := newClock()
	n := startNode(t, dht.Config{Bootstrap: []string{}, Now: clock.now})
	w := newWriter(t, n)
	taken, refused := 0, 0
	for i := range 100 {
		switch code := w.put(dict{"v": fmt.Sprint(i)}); code {
		case 0:
			taken++
		case 202:
			refused++
		default:
			t.Fatalf("put %d: error %d", i, code)
		}
	}
	if taken != 64 || refused != 36 {
		t.Errorf("%d taken, %d refused, want 64 and 36", taken, refused)
	}
	clock.advance(time.Second)
	if a, b, c := w.put(dict{"v": "a"}), w.put(dict{"v": "b"}), w.put(dict{"v": "c"}); a != 0 || b != 0 || c != 202 {
		t.Errorf("a second later: %d, %d, %d, want two puts more", a, b, c)
	}
}

func TestPeersExpireAndAreBounded(t *testing.T) {
	clock := newClock()
	n := startNode(t, dht.Config{Bootstrap: []string{}, Now: clock.now, MaxTorrents: 2})
	w := newWriter(t, n)
	announce := func(hash byte, port int) int {
		m, _ := query(t, w.conn, n, "announce_peer", dict{"info_hash": strings.Repeat(string(hash), 20), "port": port, "token": w.token})
		if m.E != nil {
			return m.E.Code
		}
		return 0
	}
	peers := func(hash byte) (ports []int) {
		m, ok := query(t, w.conn, n, "get_peers", dict{"info_hash": strings.Repeat(string(hash), 20)})
		if !ok || m.R == nil || m.R.Token == nil {
			t.Fatalf("get_peers = %+v, %v", m, ok)
		}
		w.token = *m.R.Token
		for _, p := range m.R.Values {
			ports = append(ports, p.Port)
		}
		return ports
	}
	if code := announce('a', 0); code != 203 {
		t.Errorf("announce of port 0 = error %d, want 203", code)
	}
	announce('a', 7001)
	clock.advance(30 * time.Minute)
	peers('a')
	announce('a', 7002)
	if got := peers('a'); len(got) != 2 {
		t.Errorf("peers %v, want two", got)
	}
	clock.advance(20 * time.Minute)
	if got := peers('a'); len(got) != 1 || got[0] != 7002 {
		t.Errorf("peers %v after 50 minutes, want only 7002", got)
	}
	announce('b', 1)
	announce('a', 7003)
	announce('c', 1)
	if a, b, c := peers('a'), peers('b'), peers('c'); len(a) != 2 || len(b) != 0 || len(c) != 1 {
		t.Errorf("peers %v, %v, %v, want the torrent announced least recently gone", a, b, c)
	}
	clock.advance(time.Hour)
	if got := n.Stats().Torrents; got != 0 {
		t.Errorf("%d torrents kept, want 0", got)
	}
}

func TestPeersOfAllTorrentsAreBounded(t *testing.T) {
	for _, c := range []struct{ limit, torrents, peers, want int }{
		{10, 3, 5, 15},
		{10, 20, 5, 50},     // torrents are too many
		{10, 5, 60, 100},    // peers are
		{1, 1, 50, 10},      // of the only torrent
		{1000, 2, 300, 400}, // of each torrent
	} {
		kept, found := dht.KeptPeers(c.limit, c.torrents, c.peers)
		if kept != found || kept > c.want || kept < c.want-60 {
			t.Errorf("%+v: keeps %d peers, counts %d, want at most %d", c, found, kept, c.want)
		}
	}
}

func TestRepliesListTheClosestNodes(t *testing.T) {
	nodes := startNetwork(t, 20)
	for i, n := range nodes {
		eventually(t, func() bool { return n.Stats().Nodes >= 15 }, "node %d knows %d nodes", i, n.Stats().Nodes)
	}
	conn := listen(t)
	defer conn.Close()
	wanted := nodes[7].ID()
	m, ok := query(t, conn, nodes[0], "find_node", dict{"target": string(wanted[:])})
	if !ok || m.R == nil || len(m.R.Nodes) != 8 {
		t.Fatalf("find_node = %+v, %v, want 8 nodes", m, ok)
	}
	distance := func(id krpc.ID) []byte {
		d := make([]byte, 20)
		for i := range d {
			d[i] = id[i] ^ wanted[i]
		}
		return d
	}
	last := []byte{}
	for _, node := range m.R.Nodes {
		if d := distance(node.ID); bytes.Compare(d, last) < 0 {
			t.Errorf("nodes are not sorted by distance")
		} else {
			last = d
		}
	}
	if m.R.Nodes[0].ID != wanted {
		t.Error("the very node looked for is not first")
	}
	m, ok = query(t, conn, nodes[0], "find_node", dict{"target": string(wanted[:]), "want": []string{"n6"}})
	if !ok || len(m.R.Nodes) != 0 {
		t.Errorf("find_node of IPv6 nodes = %+v, want none", m.R)
	}
	b, err := bencode.Marshal(m)
	if err != nil || len(b) > 400 {
		t.Errorf("reply has %d bytes, %v", len(b), err)
	}
}
