package dht_test

import (
	"strings"
	"testing"

	"github.com/anacrolix/dht/v2/krpc"
	"github.com/anacrolix/torrent/bencode"

	"snapswarm/common/dht"
)

// Both nodes would answer; one says that it answers nobody (BEP 43).
func TestReadOnlyNodesAreNeitherAskedNorPassedOn(t *testing.T) {
	n := startNode(t, dht.Config{Bootstrap: []string{}})
	reply := func(i *impostor, q krpc.Msg) []byte { return i.result(q, nil) }
	shy, open := newImpostor(t, reply), newImpostor(t, reply)
	for _, i := range []*impostor{shy, open} {
		q := dict{"t": "aa", "y": "q", "q": "find_node", "a": dict{"id": i.id, "target": strings.Repeat("x", 20)}}
		if i == shy {
			q["ro"] = 1
		}
		send(t, i.conn, n, bencode.MustMarshal(q))
	}
	eventually(t, func() bool { return n.Stats().Nodes == 1 }, "the node that may be asked is not in the table")
	conn := listen(t)
	defer conn.Close()
	m, ok := query(t, conn, n, "find_node", dict{"target": strings.Repeat("x", 20)})
	if !ok || m.R == nil || len(m.R.Nodes) != 1 || string(m.R.Nodes[0].ID[:]) != open.id {
		t.Errorf("find_node = %+v, want the node that may be asked alone", m.R)
	}
	if got := shy.asked("ping"); got > 0 {
		t.Errorf("the read-only node was asked %d times", got)
	}
}

func TestAReadOnlyNodeSaysSoAndStillPuts(t *testing.T) {
	nodes := startNetwork(t, 3)
	n := startNode(t, dht.Config{Bootstrap: []string{address(nodes[0]).String()}, ReadOnly: true})
	if res, err := n.Put(t.Context(), sign(t, 5, 1)); err != nil || res.Stored != 3 {
		t.Errorf("Put = %+v, %v", res, err)
	}
	trap := newImpostor(t, func(i *impostor, q krpc.Msg) []byte {
		if !q.ReadOnly {
			t.Errorf("query %q does not say that it comes from a read-only node", q.Q)
		}
		return i.result(q, nil)
	})
	other := startNode(t, dht.Config{Bootstrap: []string{trap.addr()}, ReadOnly: true})
	lookup(t, other)
	for i, known := range nodes {
		if got := known.Stats().Nodes; got > 2 {
			t.Errorf("node %d knows %d others, want only the two that answer queries", i, got)
		}
	}
}
