package swarm

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const testList = `# comment
  
Some org, with: colons:192.0.2.10-192.0.2.20
nested : 192.0.2.12 - 192.0.2.13
198.51.100.0/24
203.0.113.7
2001:db8::/64
2001:db8:1::5
32.1.13.184/32
`

func TestBlocklistContains(t *testing.T) {
	path := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(testList, "\n", "\r\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := OpenBlocklist(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.Len() != 6 {
		t.Errorf("Len() = %d, want 6 ranges, as one lies in another", b.Len())
	}
	for addr, want := range map[string]bool{
		"192.0.2.9": false, "192.0.2.10": true, "192.0.2.13": true, "192.0.2.19": true, "192.0.2.20": true, "192.0.2.21": false,
		"198.51.100.0": true, "198.51.100.255": true, "198.51.101.0": false, "203.0.113.7": true, "203.0.113.8": false,
		"2001:db8::": true, "2001:db8::ffff:ffff:ffff:ffff": true, "2001:db8:0:1::": false, "2001:db8:1::5": true, "2001:db8:1::6": false,
		"::ffff:192.0.2.10": true, "::ffff:192.0.2.9": false, "0.0.0.0": false, "255.255.255.255": false, "::": false,
		"2001:db8::1%eth0": true,  // what a zone says is about this machine only
		"2001:db8:2::":     false, // begins with the bytes of 32.1.13.184
	} {
		a := netip.MustParseAddr(addr)
		if got := b.Contains(a); got != want {
			t.Errorf("Contains(%s) = %t, want %t", addr, got, want)
		}
		if r, got := (ranger{b}).Lookup(net.IP(a.WithZone("").AsSlice())); got != want {
			t.Errorf("Lookup(%s) = %v, %t, want %t", addr, r, got, want)
		}
	}
}

func TestBlocklistNamesTheBrokenLine(t *testing.T) {
	for _, line := range []string{
		"what is this", "who:192.0.2.1", "who:192.0.2.1-", "who:192.0.2.9-192.0.2.1", "192.0.2.0/33", "192.0.2.256", "::ffff:192.0.2.0/120",
		"who:192.0.2.1-192.0.2.2-192.0.2.3", "fe80::1%eth0", "who:2001:db8::1-2001:db8::2", strings.Repeat("x", 100<<10),
	} {
		_, err := parseBlocklist(strings.NewReader("# fine\n192.0.2.1\n" + line + "\n192.0.2.2\n"))
		if err == nil || !strings.Contains(err.Error(), "line 3: ") || len(err.Error()) > 300 {
			t.Errorf("%.60q: error = %v, want a short one that names line 3", line, err)
		}
	}
	if _, err := OpenBlocklist(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

func FuzzParseBlocklist(f *testing.F) {
	f.Add([]byte(testList), []byte{192, 0, 2, 11})
	f.Add([]byte("a:1.2.3.4-1.2.3.9\n1.2.3.0/28\n::/0"), make([]byte, 16))
	f.Add([]byte("0.0.0.0/0\n255.255.255.255"), []byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, text, ip []byte) {
		b, err := parseBlocklist(bytes.NewReader(text))
		if err != nil {
			if !strings.Contains(err.Error(), "line ") {
				t.Errorf("error %v names no line", err)
			}
			return
		}
		addr, ok := netip.AddrFromSlice(ip)
		if !ok {
			return
		}
		// What the search says is what looking at every line says.
		want := false
		for line := range bytes.Lines(text) {
			if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
				r, err := parseBlocked(string(line))
				if err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				a := addr.Unmap()
				want = want || a.Is4() == r.first.Is4() && !a.Less(r.first) && !r.last.Less(a)
			}
		}
		if got := b.Contains(addr); got != want {
			t.Errorf("Contains(%s) = %t, want %t", addr, got, want)
		}
	})
}
