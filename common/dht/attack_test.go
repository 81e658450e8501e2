package dht_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/anacrolix/dht/v2/krpc"
	"github.com/anacrolix/torrent/bencode"

	"snapswarm/common/dht"
	"snapswarm/common/pointer"
)

// item is the fields of a get reply that carries rec.
func item(rec pointer.Record) dict {
	return dict{"k": rec.Key[:], "seq": rec.Seq, "sig": rec.Sig[:], "v": bencode.Bytes(rec.Value), "token": "tk"}
}

func without(d dict, key string) dict { delete(d, key); return d }

// signed is the fields of a get reply that carries any value, signed.
func signed(salt string, seq int64, value string) dict {
	key := testKey()
	sig := ed25519.Sign(key, fmt.Appendf(nil, "4:salt%d:%s3:seqi%de1:v%s", len(salt), salt, seq, value))
	return dict{"k": []byte(key.Public().(ed25519.PublicKey)), "seq": seq, "sig": sig, "v": bencode.Bytes(value), "token": "tk"}
}

func with(d dict, key string, value any) dict { d[key] = value; return d }

func TestHostileRepliesToGet(t *testing.T) {
	good := sign(t, 5, 1)
	forged, other := sign(t, 9, 1), sign(t, 9, 2)
	forged.Sig[7] ^= 1
	other.Key[0] ^= 1
	large := pointer.Record{Key: good.Key, Salt: "daily", Seq: 9, Value: []byte("1001:" + strings.Repeat("x", 1001))}
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		return b
	}
	answer := func(r dict) func(*impostor, krpc.Msg) []byte {
		return func(i *impostor, q krpc.Msg) []byte { return i.result(q, r) }
	}
	raw := func(format string, size int) func(*impostor, krpc.Msg) []byte {
		return func(_ *impostor, q krpc.Msg) []byte {
			return []byte(fmt.Sprintf(format, len(q.T), q.T, strings.Repeat("x", size)))
		}
	}
	for name, reply := range map[string]func(*impostor, krpc.Msg) []byte{
		"no seq":                       answer(without(item(good), "seq")),
		"no seq and nothing else":      answer(dict{"k": good.Key[:], "token": "t"}),
		"no value":                     answer(without(item(good), "v")),
		"no signature":                 answer(without(item(good), "sig")),
		"a short signature":            answer(with(item(good), "sig", "abc")),
		"a forged signature":           answer(item(forged)),
		"a value of 1006 bytes":        answer(item(large)),
		"the item of another key":      answer(item(other)),
		"a signed value of 1001 bytes": answer(signed("daily", 9, "997:"+strings.Repeat("x", 997))),
		"a signed negative seq":        answer(signed("daily", -1, "2:xx")),
		"a forged seq of 63 bits":      answer(with(item(forged), "seq", int64(math.MaxInt64))),
		"the item of another salt":     answer(signed("weekly", 9, "2:xx")),
		"a negative seq":               answer(with(item(good), "seq", -1)),
		"seq as a string":              answer(with(item(good), "seq", "9")),
		"seq beyond 64 bits":           answer(with(item(good), "seq", bencode.Bytes("i99999999999999999999e"))),
		"no token":                     answer(without(item(forged), "token")),
		"a token of a kilobyte":        answer(with(dict{}, "token", strings.Repeat("t", 1024))),
		"no id": func(_ *impostor, q krpc.Msg) []byte {
			return bencode.MustMarshal(dict{"t": q.T, "y": "r", "r": dict{}})
		},
		"a short id":               answer(dict{"id": "abc"}),
		"an id of zeros":           answer(dict{"id": strings.Repeat("\x00", 20)}),
		"the asker's own id":       func(i *impostor, q krpc.Msg) []byte { return i.result(q, dict{"id": string(q.A.ID[:])}) },
		"peers of one byte":        answer(dict{"values": []string{"x"}}),
		"peers of no bytes":        answer(dict{"values": []string{""}}),
		"nodes cut short":          answer(dict{"nodes": "abcde"}),
		"nodes at port 0":          answer(dict{"nodes": compact(strings.Repeat("n", 20), "127.0.0.1:0")}),
		"nodes at address 0":       answer(dict{"nodes": compact(strings.Repeat("n", 20), "0.0.0.0:6881"), "token": "t"}),
		"an error without content": func(_ *impostor, q krpc.Msg) []byte { return bencode.MustMarshal(dict{"t": q.T, "y": "e"}) },
		"an error of wrong types": func(_ *impostor, q krpc.Msg) []byte {
			return bencode.MustMarshal(dict{"t": q.T, "y": "e", "e": []any{"x", 1}})
		},
		"a reply without r":      func(_ *impostor, q krpc.Msg) []byte { return bencode.MustMarshal(dict{"t": q.T, "y": "r"}) },
		"an address of one byte": func(_ *impostor, q krpc.Msg) []byte { return bencode.MustMarshal(dict{"t": q.T, "y": "r", "ip": "x"}) },
		"cut short":              func(i *impostor, q krpc.Msg) []byte { b := i.result(q, item(good)); return b[:len(b)/2] },
		"the number of no query": func(i *impostor, q krpc.Msg) []byte { q.T += "x"; return i.result(q, item(sign(t, 9, 1))) },
		"an empty number":        func(i *impostor, q krpc.Msg) []byte { q.T = ""; return i.result(q, item(sign(t, 9, 1))) },
		"from another address": func(i *impostor, q krpc.Msg) []byte {
			conn := listen(t)
			defer conn.Close()
			to, _ := i.from.Load().(*net.UDPAddr)
			_, _ = conn.WriteToUDP(i.result(q, item(sign(t, 9, 1))), to)
			return nil
		},
		"deep nesting":      raw("d1:t%d:%s1:rd1:v"+strings.Repeat("l", 3000)+"%s", 0),
		"garbage":           func(*impostor, krpc.Msg) []byte { return random(500) },
		"a packet of 60 kB": raw("d1:t%d:%s1:y1:r1:z50000:%se", 50000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			liar := newImpostor(t, reply)
			honest := startNode(t, dht.Config{Bootstrap: []string{}})
			if err := honestly(t, honest, good); err != nil {
				t.Fatal(err)
			}
			n := startNode(t, dht.Config{Bootstrap: []string{liar.addr(), address(honest).String()}})
			records := lookup(t, n)
			if len(records) != 1 || !records[0].Equal(good) {
				t.Errorf("Lookup = %v, want only the record of the honest node", records)
			}
			if liar.asked("get") == 0 {
				t.Error("the liar was never asked")
			}
			if _, err := n.Put(t.Context(), sign(t, 10, 3)); err != nil {
				t.Errorf("Put = %v", err)
			}
			alive(t, n)
		})
	}
}

// honestly puts rec into the store of n as another node would.
func honestly(t *testing.T, n *dht.Node, rec pointer.Record) error {
	conn := listen(t)
	defer conn.Close()
	m, ok := query(t, conn, n, "get", dict{"target": target(rec)})
	if !ok || m.R == nil || m.R.Token == nil {
		return errors.New("no token")
	}
	m, ok = query(t, conn, n, "put", dict{
		"token": *m.R.Token, "k": rec.Key[:], "salt": rec.Salt, "seq": rec.Seq, "sig": rec.Sig[:], "v": bencode.Bytes(rec.Value),
	})
	if !ok {
		return errors.New("no reply to put")
	}
	if m.E != nil {
		return *m.E
	}
	return nil
}

func target(rec pointer.Record) string { t := rec.Target(); return string(t[:]) }

func TestOnlyForgedRecordsAreHandedOnToBeRefused(t *testing.T) {
	forged := sign(t, 9, 1)
	forged.Sig[7] ^= 1
	liar := newImpostor(t, func(i *impostor, q krpc.Msg) []byte { return i.result(q, item(forged)) })
	n := startNode(t, dht.Config{Bootstrap: []string{liar.addr()}})
	records := lookup(t, n)
	if len(records) != 1 || !errors.Is(records[0].Verify(testChannel()), pointer.ErrSignature) {
		t.Fatalf("Lookup = %v, want the forged record", records)
	}
	_, err := pointer.NewResolver(pointer.ResolverConfig{Sources: []pointer.Source{n}}).Resolve(t.Context(), testChannel())
	if !errors.Is(err, pointer.ErrAllRefused) || !errors.Is(err, pointer.ErrSignature) {
		t.Errorf("Resolve = %v, want %v", err, pointer.ErrAllRefused)
	}
}

func TestTwoValuesOfOneSeqAreBothFound(t *testing.T) {
	var liars []string
	for ih := range byte(2) {
		rec := sign(t, 5, ih+1)
		liars = append(liars, newImpostor(t, func(i *impostor, q krpc.Msg) []byte { return i.result(q, item(rec)) }).addr())
	}
	n := startNode(t, dht.Config{Bootstrap: liars})
	if records := lookup(t, n); len(records) != 2 || records[0].Seq != 5 || records[1].Seq != 5 {
		t.Errorf("Lookup = %v, want both values", records)
	}
}

// A number that nobody can top, signed: the publisher's doing, and what the resolver's clock is for.
func TestTheHighestSeqIsHandedOnToBeRefused(t *testing.T) {
	last := sign(t, math.MaxInt64, 1)
	liar := newImpostor(t, func(i *impostor, q krpc.Msg) []byte { return i.result(q, item(last)) })
	n := startNode(t, dht.Config{Bootstrap: []string{liar.addr()}})
	if records := lookup(t, n); len(records) != 1 || !records[0].Equal(last) {
		t.Fatalf("Lookup = %v, want %v", records, last)
	}
	_, err := pointer.NewResolver(pointer.ResolverConfig{Sources: []pointer.Source{n}}).Resolve(t.Context(), testChannel())
	if !errors.Is(err, pointer.ErrFuture) {
		t.Errorf("Resolve = %v, want %v", err, pointer.ErrFuture)
	}
}

func TestInventedNodesAreNotAskedForEver(t *testing.T) {
	liar := newImpostor(t, func(i *impostor, q krpc.Msg) []byte {
		// Ever new nodes, closer to the target each time, at ports of which none answers.
		var nodes strings.Builder
		for range 150 {
			id := q.A.Target
			for b := 10; b < 20; b++ {
				id[b] = byte(rand.Uint32())
			}
			nodes.WriteString(compact(string(id[:]), fmt.Sprintf("127.9.%d.%d:%d", rand.IntN(256), rand.IntN(256), 1+rand.IntN(65535))))
		}
		return i.result(q, dict{"nodes": nodes.String(), "token": "t"})
	})
	conn := &countingConn{PacketConn: listen(t), sent: make(map[string]int)}
	n, err := dht.New(dht.Config{Conn: conn, Private: true, Bootstrap: []string{liar.addr()}, QueryTimeout: queryTimeout})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if records := lookup(t, n); len(records) != 0 {
		t.Errorf("found %v", records)
	}
	if got := conn.destinations(); got < 2 || got > 1+16 {
		t.Errorf("%d nodes were asked, want the liar and at most 16 of those that it invented", got)
	}
}

// countingConn counts where packets go.
type countingConn struct {
	net.PacketConn

	mu   sync.Mutex
	sent map[string]int // guarded by mu
}

func (c *countingConn) WriteTo(b []byte, addr net.Addr) (int, error) {
	c.mu.Lock()
	c.sent[addr.String()]++
	c.mu.Unlock()
	return c.PacketConn.WriteTo(b, addr)
}

func (c *countingConn) destinations() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent)
}

func TestPutIsNotBelievedWithoutProof(t *testing.T) {
	refuse := func(_ *impostor, q krpc.Msg) []byte {
		return bencode.MustMarshal(dict{"t": q.T, "y": "e", "e": []any{205, "too big"}})
	}
	for name, c := range map[string]struct {
		put  func(*impostor, krpc.Msg) []byte
		want error
		text string
	}{
		"all refuse":              {refuse, dht.ErrNotStored, "error 205: too big"},
		"none answers":            {func(*impostor, krpc.Msg) []byte { return nil }, dht.ErrNotStored, "no answer"},
		"all take it and hold it": {nil, nil, ""},
		"all take it and lose it": {func(i *impostor, q krpc.Msg) []byte { return i.result(q, nil) }, dht.ErrNotReadBack, "3 stored it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := sign(t, 5, 1)
			var addrs []string
			for range 3 {
				held := false
				addrs = append(addrs, newImpostor(t, func(i *impostor, q krpc.Msg) []byte {
					switch {
					case q.Q == "put" && c.put != nil:
						return c.put(i, q)
					case q.Q == "put":
						held = q.A.Cas == 0 && q.A.Token == "tk" && string(q.A.Salt) == "daily" && *q.A.Seq == 5
						return i.result(q, nil)
					case q.Q == "get" && held:
						return i.result(q, item(rec))
					default:
						return i.result(q, dict{"token": "tk"})
					}
				}).addr())
			}
			n := startNode(t, dht.Config{Bootstrap: addrs})
			res, err := n.Put(t.Context(), rec)
			if !errors.Is(err, c.want) || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("Put = %+v, %v, want %v with %q", res, err, c.want, c.text)
			}
			if res.Closest != 3 || err == nil && (res.Stored != 3 || res.ReadBack != 3) {
				t.Errorf("Put = %+v, want all three", res)
			}
		})
	}
}

func TestHostilePacketsAreSurvived(t *testing.T) {
	n := startNode(t, dht.Config{Bootstrap: []string{}, MaxItems: 5, MaxTorrents: 5})
	conn := listen(t)
	defer conn.Close()
	packets := []string{
		"", "d", "de", "le", "i1e", "d1:", "d1:t1:a1:y1:qe",
		"d2:ip1:x1:t1:a1:y1:qe",                  // one byte of address
		"d1:q13:announce_peer1:t1:a1:y1:qe",      // no arguments
		"d1:q3:put1:t1:a1:y1:qe",                 //
		"d1:ade1:q13:announce_peer1:t1:a1:y1:qe", // empty arguments
		"d1:ade1:q3:put1:t1:a1:y1:qe",            //
		"d1:ade1:q3:get1:t1:a1:y1:qe",            //
		"d1:ai5e1:q4:ping1:t1:a1:y1:qe",          // arguments of another type
		"d1:ad2:id3:abce1:q4:ping1:t1:a1:y1:qe",  // a short id
		"d1:rd6:valuesl1:xee1:t1:a1:y1:re",       // nobody asked
		"d1:e" + "d1:a1:be1:t1:a1:y1:ee",         //
		"d1:ad1:v" + strings.Repeat("l", 2000),   // deep
		"d1:ad1:v" + strings.Repeat("d1:x", 600), //
		"99999999999999999999:x", "d99999999999999999999:x", "d-1:x", "d1-5:x",
		"d1:ad2:id20:" + strings.Repeat("n", 20) + "1:vi" + strings.Repeat("9", 900) + "ee1:q3:put1:t1:a1:y1:qe",
		strings.Repeat("\xff", 9000),
	}
	for _, q := range []string{"find_node", "get", "get_peers", "announce_peer", "put"} {
		for i := range 400 { // each another target, far more than are kept
			key := fmt.Sprintf("%020d", i)
			packets = append(packets, string(bencode.MustMarshal(dict{"t": "f", "y": "q", "q": q, "a": dict{
				"id": key, "target": key, "info_hash": key, "port": 1 + i, "token": "guessed", "v": key, "seq": i,
			}})))
		}
	}
	for range 2000 {
		b := make([]byte, rand.IntN(200))
		for i := range b {
			b[i] = "dlie0123456789:qrtyabc"[rand.IntN(22)]
		}
		packets = append(packets, string(b))
	}
	for _, p := range packets {
		send(t, conn, n, []byte(p))
	}
	alive(t, n)
	if got := n.Stats(); got.Items > 0 || got.Torrents > 0 {
		t.Errorf("%+v, want nothing kept of those without a token", got)
	}
}

// Many sources, each with a valid token, announce and put as much as they are let.
func TestFloodsOfWritesAreBounded(t *testing.T) {
	n := startNode(t, dht.Config{Bootstrap: []string{}, MaxItems: 50, MaxTorrents: 20})
	refused := 0
	for source := range 4 {
		w := newWriter(t, n)
		for i := range 50 {
			key := fmt.Sprintf("%010d%010d", source, i)
			if code := w.put(dict{"v": key}); code != 0 && code != 202 {
				t.Fatalf("put = error %d", code)
			}
			m, ok := query(t, w.conn, n, "announce_peer", dict{"info_hash": key, "port": 1 + i, "token": w.token})
			if !ok || m.E != nil && m.E.Code != 202 {
				t.Fatalf("announce = %+v, %v", m, ok)
			}
			if m.E != nil {
				refused++
			}
		}
	}
	if got := n.Stats(); got.Items > 50 || got.Torrents > 20 || got.Items == 0 || got.Torrents == 0 {
		t.Errorf("%+v, want at most 50 items and 20 torrents", got)
	}
	if refused == 0 {
		t.Error("no source was told to stop")
	}
}
