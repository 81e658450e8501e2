package dht

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"

	"snapswarm/common/durable"
)

const (
	tableHeader  = "snapswarm-dht 1"
	tableFile    = "dht-nodes"
	maxTableSize = 64 << 10
	maxSaved     = 256 // nodes in the file
)

// table is what a node keeps across restarts: its ID, the address under which others see it, and
// other nodes that answered. As a file it is lines of text:
//
//	snapswarm-dht 1
//	id <40 hex digits>
//	outside <IPv4 address>            (if known)
//	node <40 hex digits> <address:port>   (up to 256, best first)
type table struct {
	id      id
	outside netip.Addr // invalid when not known
	nodes   []contact
}

func (t table) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nid %x\n", tableHeader, t.id)
	if t.outside.IsValid() {
		fmt.Fprintf(&b, "outside %s\n", t.outside)
	}
	for _, c := range t.nodes[:min(len(t.nodes), maxSaved)] {
		fmt.Fprintf(&b, "node %x %s\n", c.id, c.addr)
	}
	return b.Bytes()
}

// parseTable reads what encode wrote. Nodes that the reach forbids are left out.
func parseTable(b []byte, r reach) (table, error) {
	var t table
	if len(b) > maxTableSize {
		return t, fmt.Errorf("more than %d bytes", maxTableSize)
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	if !lines.Scan() || lines.Text() != tableHeader {
		return t, fmt.Errorf("does not begin with %q", tableHeader)
	}
	for n := 2; lines.Scan(); n++ {
		if err := t.line(strings.Fields(lines.Text()), r); err != nil {
			return table{}, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if t.id == (id{}) {
		return table{}, errors.New("has no id")
	}
	return t, lines.Err()
}

func (t *table) line(fields []string, r reach) (err error) {
	switch {
	case len(fields) == 2 && fields[0] == "id":
		t.id, err = parseID(fields[1])
	case len(fields) == 2 && fields[0] == "outside":
		t.outside, err = netip.ParseAddr(fields[1])
		if err == nil && r.check(netip.AddrPortFrom(t.outside, 1)) != nil {
			t.outside = netip.Addr{}
		}
	case len(fields) == 3 && fields[0] == "node":
		var c contact
		if c, err = parseContact(fields[1], fields[2]); err == nil && r.check(c.addr) == nil && len(t.nodes) < maxSaved {
			t.nodes = append(t.nodes, c)
		}
	default:
		err = errors.New("is not understood")
	}
	return err
}

func parseContact(idHex, addr string) (c contact, err error) {
	if c.id, err = parseID(idHex); err != nil {
		return contact{}, err
	}
	c.addr, err = netip.ParseAddrPort(addr)
	return c, err
}

func parseID(s string) (v id, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(v) {
		return id{}, errors.New("no ID of 40 hex digits")
	}
	return id(b), nil
}

// loadTable reads the saved table of cfg; a damaged one is set aside, a missing one is empty.
func loadTable(cfg Config) (table, error) {
	if cfg.StateDir == "" {
		return table{}, nil
	}
	if err := durable.MkdirAll(cfg.StateDir, 0o755); err != nil {
		return table{}, err
	}
	if err := durable.RemoveTemps(cfg.StateDir); err != nil {
		cfg.Log.Warn("what an earlier run left cannot be removed", "error", err)
	}
	path := filepath.Join(cfg.StateDir, tableFile)
	b, err := durable.ReadFile(path, maxTableSize)
	if errors.Is(err, fs.ErrNotExist) {
		return table{}, nil
	}
	if err != nil && !errors.Is(err, durable.ErrDamaged) {
		return table{}, err
	}
	var t table
	if err == nil {
		t, err = parseTable(b, reach{private: cfg.Private})
	}
	if err == nil {
		return t, nil
	}
	aside, e := durable.SetAside(path)
	cfg.Log.WarnContext(context.Background(), "saved DHT nodes were damaged and are set aside", "file", aside, "error", err)
	return table{}, e
}

// save writes the table of the node, unless it knows nobody: then what an earlier run knew is worth
// more.
func (n *Node) save() error {
	nodes := n.book.all()
	if n.cfg.StateDir == "" || len(nodes) == 0 {
		return nil
	}
	t := table{id: n.id, outside: n.outside.address(), nodes: nodes}
	if err := durable.WriteFile(filepath.Join(n.cfg.StateDir, tableFile), t.encode(), 0o644); err != nil {
		return fmt.Errorf("save DHT nodes: %w", err)
	}
	return nil
}
