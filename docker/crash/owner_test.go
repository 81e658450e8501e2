//go:build e2e && linux

package crash_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// owner tells which node, in which life, is at the other end of a connection within this machine; ok is false if it is none, or has
// been killed meanwhile. The system knows: /proc/net/tcp has the socket's inode, and the process's folder the sockets that it holds.
func (w *world) owner(conn net.Conn) (n *node, life int, ok bool) {
	inode := inodeOf(conn.RemoteAddr(), conn.LocalAddr())
	if inode == "" {
		return nil, 0, false
	}
	for _, n := range w.nodes {
		if pid, life := n.running(); pid != 0 && holds(pid, inode) {
			return n, life, true
		}
	}
	return nil, 0, false
}

// inodeOf is the inode of the socket that is bound to local and connected to remote, "" if there is none.
func inodeOf(local, remote net.Addr) string {
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return ""
	}
	defer f.Close()
	a, b := hexAddr(local), hexAddr(remote)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// sl, local, remote, state, queues, timer, retransmits, uid, timeout, inode
		if field := strings.Fields(lines.Text()); len(field) > 9 && field[1] == a && field[2] == b {
			return field[9]
		}
	}
	return ""
}

// hexAddr writes an IPv4 address and port as the kernel does on a little-endian machine.
func hexAddr(a net.Addr) string {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil || !ap.Addr().Unmap().Is4() {
		return ""
	}
	ip := ap.Addr().Unmap().As4()
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), ap.Port())
}

func holds(pid int, inode string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && target == "socket:["+inode+"]" {
			return true
		}
	}
	return false
}
