package dht_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/anacrolix/dht/v2/krpc"
	"github.com/anacrolix/torrent/bencode"

	"snapswarm/common/dht"
)

func TestPublicAndPrivateNeverMix(t *testing.T) {
	for addr, want := range map[string]string{ // who may speak with it
		"8.8.8.8:6881":           "public",
		"127.0.0.1:6881":         "private",
		"127.200.0.9:6881":       "private",
		"10.1.2.3:6881":          "private",
		"172.31.0.1:6881":        "private",
		"172.32.0.1:6881":        "public",
		"192.168.7.7:6881":       "private",
		"8.8.8.8:0":              "",
		"127.0.0.1:0":            "",
		"0.0.0.0:6881":           "",
		"169.254.169.254:80":     "",
		"100.64.0.1:6881":        "private",
		"192.0.2.1:6881":         "",
		"198.18.0.1:6881":        "",
		"224.0.0.1:6881":         "",
		"255.255.255.255:6881":   "",
		"[::1]:6881":             "",
		"[::ffff:8.8.8.8]:6881":  "",
		"[2001:4860::8888]:6881": "",
	} {
		if err := dht.CheckReach(false, addr); (err == nil) != (want == "public") {
			t.Errorf("public node and %s: %v, want it for %q", addr, err, want)
		}
		if err := dht.CheckReach(true, addr); (err == nil) != (want == "private") {
			t.Errorf("private node and %s: %v, want it for %q", addr, err, want)
		}
	}
}

// A public node that knows nobody but loopback addresses must stay silent.
func TestPublicNodeNeverDialsPrivateAddresses(t *testing.T) {
	trap := newImpostor(t, func(i *impostor, q krpc.Msg) []byte { return i.result(q, nil) })
	n, err := dht.New(dht.Config{Conn: listen(t), Bootstrap: []string{trap.addr()}, QueryTimeout: queryTimeout})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	_, err = n.Lookup(t.Context(), testChannel())
	if !errors.Is(err, dht.ErrNoNodes) || !strings.Contains(err.Error(), "this DHT is public") {
		t.Errorf("Lookup = %v, want %v and why", err, dht.ErrNoNodes)
	}
	if err := n.SendTo([]byte("de"), address(n)); err == nil {
		t.Error("a packet to loopback was sent")
	}
	conn := listen(t)
	defer conn.Close()
	send(t, conn, n, bencode.MustMarshal(dict{"t": "aa", "y": "q", "q": "ping", "a": dict{"id": strings.Repeat("x", 20)}}))
	if err := conn.SetReadDeadline(time.Now().Add(queryTimeout)); err != nil {
		t.Fatal(err)
	}
	if b, err := conn.Read(make([]byte, 1000)); err == nil {
		t.Errorf("answered a private address with %d bytes", b)
	}
	if got := trap.asked("get") + trap.asked("find_node") + trap.asked("ping"); got > 0 {
		t.Errorf("%d queries went to a private address", got)
	}
}

// A private node that is told of public nodes must not ask them.
func TestPrivateNodeIgnoresPublicAddresses(t *testing.T) {
	liar := newImpostor(t, func(i *impostor, q krpc.Msg) []byte {
		return i.result(q, dict{"token": "t", "nodes": compact(strings.Repeat("n", 20), "8.8.8.8:6881", "0.0.0.0:1", "224.0.0.1:9")})
	})
	conn := &countingConn{PacketConn: listen(t), sent: make(map[string]int)}
	n, err := dht.New(dht.Config{Conn: conn, Private: true, Bootstrap: []string{liar.addr()}, QueryTimeout: queryTimeout})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if got := lookup(t, n); len(got) != 0 {
		t.Errorf("found %v", got)
	}
	if got := conn.destinations(); got != 1 {
		t.Errorf("%d nodes were asked, want only the one that lies", got)
	}
}

func TestBootstrapNodesAreChecked(t *testing.T) {
	for _, bad := range []string{"localhost", "host:", ":6881", "host:0", "host:99999", "host:dht"} {
		conn := listen(t)
		if n, err := dht.New(dht.Config{Conn: conn, Private: true, Bootstrap: []string{bad}}); err == nil {
			t.Errorf("bootstrap %q was accepted", bad)
			n.Close()
		} else if !strings.Contains(err.Error(), "want host:port") {
			t.Errorf("bootstrap %q: %v", bad, err)
		}
		if err := conn.Close(); err != nil {
			t.Errorf("after a failed New the socket is not the caller's: %v", err)
		}
	}
}

func TestSocketClosedUnderneathIsSurvived(t *testing.T) {
	conn := listen(t)
	n, err := dht.New(dht.Config{Conn: conn, Private: true, Bootstrap: []string{}, QueryTimeout: queryTimeout})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if _, err := n.Lookup(t.Context(), testChannel()); !errors.Is(err, dht.ErrNoNodes) {
		t.Errorf("Lookup = %v", err)
	}
	if err := n.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	if err := n.Close(); err != nil {
		t.Errorf("Close again = %v", err)
	}
}

func TestOnePublicHostIsAskedOnce(t *testing.T) {
	list := []string{"8.8.8.8:1", "8.8.8.8:2", "8.8.4.4:1", "8.8.4.4:1", "10.0.0.1:1"}
	if got := dht.Queued(false, list...); got != 2 {
		t.Errorf("public: %d of %v would be asked, want 2", got, list)
	}
	list = []string{"10.0.0.1:1", "10.0.0.1:2", "10.0.0.1:1", "8.8.8.8:1"}
	if got := dht.Queued(true, list...); got != 2 {
		t.Errorf("private: %d of %v would be asked, want 2", got, list)
	}
}
