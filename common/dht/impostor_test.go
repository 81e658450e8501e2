package dht_test

import (
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anacrolix/dht/v2/krpc"
	"github.com/anacrolix/torrent/bencode"

	"snapswarm/common/dht"
)

// dict is a message, or a part of one, as a foreign node writes it.
type dict map[string]any

// impostor is a foreign node: a UDP socket that answers queries as a test wants. What it answers
// goes out as it is, however wrong.
type impostor struct {
	t    *testing.T
	conn *net.UDPConn
	id   string
	from atomic.Value // *net.UDPAddr of the last query

	mu   sync.Mutex
	seen []krpc.Msg // queries, in order; guarded by mu
}

// newImpostor starts a node that answers with the bytes that reply returns; nil means no answer.
func newImpostor(t *testing.T, reply func(i *impostor, q krpc.Msg) []byte) *impostor {
	t.Helper()
	i := &impostor{t: t, conn: listen(t)}
	id := krpc.RandomNodeID()
	i.id = string(id[:])
	done := make(chan struct{})
	go func() {
		defer close(done)
		i.serve(reply)
	}()
	t.Cleanup(func() { i.conn.Close(); <-done })
	return i
}

func (i *impostor) serve(reply func(i *impostor, q krpc.Msg) []byte) {
	b := make([]byte, 65536)
	for {
		n, from, err := i.conn.ReadFromUDP(b)
		if err != nil {
			return
		}
		var q krpc.Msg
		if err := bencode.Unmarshal(b[:n], &q); err != nil || q.Y != "q" {
			continue
		}
		i.from.Store(from)
		i.mu.Lock()
		i.seen = append(i.seen, q)
		i.mu.Unlock()
		if answer := reply(i, q); answer != nil {
			_, _ = i.conn.WriteToUDP(answer, from)
		}
	}
}

// asked is how often it was sent the query.
func (i *impostor) asked(query string) (count int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, q := range i.seen {
		if q.Q == query {
			count++
		}
	}
	return count
}

func (i *impostor) addr() string { return i.conn.LocalAddr().String() }

// result is a regular reply to q with the fields r added.
func (i *impostor) result(q krpc.Msg, r dict) []byte {
	full := dict{"id": i.id}
	maps.Copy(full, r)
	return bencode.MustMarshal(dict{"t": q.T, "y": "r", "r": full})
}

// query asks a node as the impostor's own query; it returns what came back, or nothing after a while.
// Only for impostors that do not read otherwise.
func query(t *testing.T, conn *net.UDPConn, n *dht.Node, q string, args dict) (m krpc.Msg, ok bool) {
	t.Helper()
	full := dict{"id": strings.Repeat("q", 20)}
	maps.Copy(full, args)
	send(t, conn, n, bencode.MustMarshal(dict{"t": "aa", "y": "q", "q": q, "a": full, "ro": 1}))
	return receive(t, conn)
}

func send(t *testing.T, conn *net.UDPConn, n *dht.Node, packet []byte) {
	t.Helper()
	if _, err := conn.WriteToUDPAddrPort(packet, address(n)); err != nil {
		t.Fatal(err)
	}
}

// receive waits a little for a message that is no query.
func receive(t *testing.T, conn *net.UDPConn) (m krpc.Msg, ok bool) {
	t.Helper()
	b := make([]byte, 65536)
	if err := conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	for {
		n, err := conn.Read(b)
		if err != nil {
			return m, false
		}
		m = krpc.Msg{}
		if err := bencode.Unmarshal(b[:n], &m); err != nil {
			t.Errorf("reply %q: %v", b[:n], err)
		}
		if m.Y != "q" {
			return m, true
		}
	}
}

// alive fails the test unless the node still answers a ping. The first ones may be lost behind a flood.
func alive(t *testing.T, n *dht.Node) {
	t.Helper()
	conn := listen(t)
	defer conn.Close()
	for range 5 {
		if _, ok := query(t, conn, n, "ping", nil); ok {
			return
		}
	}
	t.Fatal("the node no longer answers")
}

// compact is a list of nodes as messages carry it (BEP 5).
func compact(id string, addrs ...string) string {
	var b strings.Builder
	for _, a := range addrs {
		ap := netip.MustParseAddrPort(a)
		b.WriteString(id[:20])
		b.Write(ap.Addr().AsSlice())
		b.Write([]byte{byte(ap.Port() >> 8), byte(ap.Port())})
	}
	return b.String()
}
