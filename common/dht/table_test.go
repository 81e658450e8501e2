package dht_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	adht "github.com/anacrolix/dht/v2"

	"snapswarm/common/dht"
)

func TestRestartNeedsNoBootstrap(t *testing.T) {
	nodes := startNetwork(t, 5)
	rec := sign(t, 5, 1)
	if _, err := nodes[0].Put(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "made", "by", "new")
	first, stop := startStoppable(t, dht.Config{Bootstrap: []string{address(nodes[0]).String()}, StateDir: dir})
	eventually(t, func() bool { return first.Stats().Nodes == 5 }, "first run knows %d nodes, want 5", first.Stats().Nodes)
	id := first.ID()
	stop()

	again := startNode(t, dht.Config{Bootstrap: []string{}, StateDir: dir})
	if again.ID() != id {
		t.Errorf("ID %x after the restart, was %x", again.ID(), id)
	}
	if got := lookup(t, again); len(got) != 1 || !got[0].Equal(rec) {
		t.Errorf("Lookup after the restart = %v", got)
	}
	eventually(t, func() bool { return again.Stats().Nodes == 5 }, "knows %d nodes, want 5", again.Stats().Nodes)
}

func TestSavedNodesAreNotPassedOnUnasked(t *testing.T) {
	dead := listen(t) // answers nothing
	defer dead.Close()
	dir := t.TempDir()
	writeTable(t, dir, fmt.Sprintf("snapswarm-dht 1\nid %040x\nnode %040x %s\n", 1, 2, dead.LocalAddr()))
	n := startNode(t, dht.Config{Bootstrap: []string{}, StateDir: dir})
	conn := listen(t)
	defer conn.Close()
	m, ok := query(t, conn, n, "find_node", dict{"target": strings.Repeat("x", 20)})
	if !ok || m.R == nil || len(m.R.Nodes) > 0 {
		t.Errorf("find_node = %+v, want no nodes", m.R)
	}
	if err := dead.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := dead.Read(make([]byte, 1000)); err != nil {
		t.Errorf("the saved node was not pinged: %v", err)
	}
}

func TestDamagedTableIsSetAside(t *testing.T) {
	dir := t.TempDir()
	writeTable(t, dir, "snapswarm-dht 1\nid abc\n")
	startNode(t, dht.Config{Bootstrap: []string{}, StateDir: dir})
	if _, err := os.Stat(filepath.Join(dir, "dht-nodes.corrupt")); err != nil {
		t.Errorf("the damaged file is gone: %v", err)
	}
}

func TestTableOfANodeThatKnowsNobodyIsNotOverwritten(t *testing.T) {
	dir := t.TempDir()
	text := fmt.Sprintf("snapswarm-dht 1\nid %040x\nnode %040x 127.0.0.1:1\n", 1, 2)
	writeTable(t, dir, text)
	_, stop := startStoppable(t, dht.Config{Bootstrap: []string{}, StateDir: dir})
	stop()
	if b, err := os.ReadFile(filepath.Join(dir, "dht-nodes")); err != nil || string(b) != text {
		t.Errorf("file = %q, %v, want it as it was", b, err)
	}
}

func writeTable(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "dht-nodes"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestTablesAreCheckedLineByLine(t *testing.T) {
	idLine := fmt.Sprintf("id %040x\n", 1)
	for name, text := range map[string]string{
		"empty":           "",
		"another header":  "snapswarm-dht 2\n" + idLine,
		"no id":           "snapswarm-dht 1\n",
		"a short id":      "snapswarm-dht 1\nid 0123\n",
		"an unknown line": "snapswarm-dht 1\n" + idLine + "hello world\n",
		"a bad address":   "snapswarm-dht 1\n" + idLine + fmt.Sprintf("node %040x localhost:1\n", 2),
		"a huge file":     "snapswarm-dht 1\n" + idLine + strings.Repeat("\n", 70000),
		"binary":          "snapswarm-dht 1\n\x00\xff\n",
	} {
		if b, err := dht.ReencodeTable([]byte(text), true); err == nil {
			t.Errorf("%s: read as %q", name, b)
		}
	}
	text := "snapswarm-dht 1\n" + idLine + fmt.Sprintf("node %040x 127.0.0.1:1\nnode %040x 8.8.8.8:1\n", 2, 3)
	if b, err := dht.ReencodeTable([]byte(text), true); err != nil || bytes.Contains(b, []byte("8.8.8.8")) || !bytes.Contains(b, []byte("127.0.0.1")) {
		t.Errorf("private: %q, %v", b, err)
	}
	if b, err := dht.ReencodeTable([]byte(text), false); err != nil || !bytes.Contains(b, []byte("8.8.8.8")) || bytes.Contains(b, []byte("127.0.0.1")) {
		t.Errorf("public: %q, %v", b, err)
	}
}

func TestOutsideAddressNeedsManyVoters(t *testing.T) {
	votes := map[string]string{}
	for i := range 7 {
		votes[fmt.Sprintf("9.%d.0.1", i)] = "8.8.8.8"
	}
	votes["9.6.200.200"] = "8.8.8.8" // the /16 of another voter
	if got := dht.Vote(votes); got.IsValid() {
		t.Errorf("seven voters: %v is believed", got)
	}
	votes["9.7.0.1"] = "8.8.8.8"
	if got := dht.Vote(votes); got != netip.MustParseAddr("8.8.8.8") {
		t.Errorf("eight voters: %v is believed, want 8.8.8.8", got)
	}
	for voter := range votes {
		votes[voter] = "127.0.0.1"
	}
	if got := dht.Vote(votes); got.IsValid() {
		t.Errorf("%v is believed", got)
	}
}

func TestNodeIDSuitsTheOutsideAddress(t *testing.T) {
	outside := netip.MustParseAddr("8.8.8.8")
	fresh := dht.NodeID([20]byte{}, outside, false)
	if !adht.NodeIdSecure(fresh, outside.AsSlice()) {
		t.Errorf("ID %x is not secure for %v (BEP 42)", fresh, outside)
	}
	if got := dht.NodeID(fresh, outside, false); got != fresh {
		t.Errorf("ID %x is not kept, now %x", fresh, got)
	}
	if got := dht.NodeID(fresh, netip.MustParseAddr("9.9.9.9"), false); got == fresh {
		t.Error("ID is kept though the address changed")
	}
	if got := dht.NodeID(fresh, netip.MustParseAddr("9.9.9.9"), true); got != fresh {
		t.Error("ID is not kept in a private DHT")
	}
}
