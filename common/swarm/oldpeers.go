package swarm

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/anacrolix/torrent"

	"snapswarm/common/durable"
	"snapswarm/common/snapshot"
)

const (
	maxOldPeers     = 50
	maxOldPeersFile = 8 << 10 // lines have less than 80 bytes
	// oldPeerTime is how long a peer is worth a try after it was of use.
	oldPeerTime = 30 * 24 * time.Hour
	// oldPeerPrecision is how much a time may have moved on before it is written again.
	oldPeerPrecision = time.Hour
)

var errBadPeers = errors.New("file of peers is damaged")

// oldPeers are the peers that data of one snapshot was exchanged with, now and before a restart, in a file beside the snapshot's;
// FORMAT.md describes it. They make a restart independent of the DHT and of the seed peers. One goroutine at a time uses them.
type oldPeers struct {
	client   *Client
	infoHash snapshot.InfoHash
	path     string
	known    map[netip.AddrPort]time.Time // when each was of use last
	saved    map[netip.AddrPort]time.Time
}

func oldPeersPath(dir string, ih snapshot.InfoHash) string {
	return filepath.Join(dir, "."+ih.String()+".peers")
}

// openOldPeers reads the file, if there is one.
func openOldPeers(c *Client, ih snapshot.InfoHash, dir string) *oldPeers {
	o := &oldPeers{client: c, infoHash: ih, path: oldPeersPath(dir, ih)}
	known, err := readOldPeers(o.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		aside, e := durable.SetAside(o.path)
		c.log.Warn("peers of before are not known", "file", aside, "error", errors.Join(err, e))
	}
	o.known = freshest(known, time.Now())
	o.saved = maps.Clone(o.known)
	return o
}

func readOldPeers(path string) (map[netip.AddrPort]time.Time, error) {
	b, err := durable.ReadFile(path, maxOldPeersFile)
	if err != nil {
		return nil, err // names the path
	}
	peers, err := parseOldPeers(b)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return peers, nil
}

// parseOldPeers decodes the file. Errors wrap errBadPeers.
func parseOldPeers(b []byte) (map[netip.AddrPort]time.Time, error) {
	if len(b) > maxOldPeersFile {
		return nil, fmt.Errorf("%w: more than %d bytes", errBadPeers, maxOldPeersFile)
	}
	peers := make(map[netip.AddrPort]time.Time)
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		seconds, address, _ := strings.Cut(lines.Text(), " ")
		unix, err1 := strconv.ParseInt(seconds, 10, 64)
		addr, err2 := netip.ParseAddrPort(address)
		if err := errors.Join(err1, err2); err != nil || unix < 0 || addr.Port() == 0 || addr.Addr().Zone() != "" {
			return nil, fmt.Errorf("%w: %.80q", errBadPeers, lines.Text())
		}
		peers[addr] = time.Unix(unix, 0)
	}
	return peers, nil
}

func encodeOldPeers(peers map[netip.AddrPort]time.Time) []byte {
	var b []byte
	for _, addr := range newestFirst(peers) {
		b = fmt.Appendf(b, "%d %s\n", peers[addr].Unix(), addr)
	}
	return b
}

func newestFirst(peers map[netip.AddrPort]time.Time) []netip.AddrPort {
	return slices.SortedFunc(maps.Keys(peers), func(a, b netip.AddrPort) int {
		return cmp.Or(peers[b].Compare(peers[a]), a.Compare(b))
	})
}

// freshest are the peers that are worth a try at a time, not too many of them.
func freshest(peers map[netip.AddrPort]time.Time, now time.Time) map[netip.AddrPort]time.Time {
	out := make(map[netip.AddrPort]time.Time)
	for _, addr := range newestFirst(peers) {
		if len(out) == maxOldPeers {
			break
		}
		if age := now.Sub(peers[addr]); age < oldPeerTime && age > -oldPeerTime {
			out[addr] = peers[addr]
		}
	}
	return out
}

// save writes down who was of use since the last time. That it does not succeed is no reason to do anything less well.
func (o *oldPeers) save(handle *torrent.Torrent) {
	for _, pc := range handle.PeerConns() {
		if stats := pc.Stats(); stats.BytesWrittenData.Int64() > 0 {
			o.client.met.took(o.infoHash, &pc.Peer)
		}
	}
	peers := maps.Clone(o.known)
	maps.Copy(peers, o.client.met.take(o.infoHash))
	bad := o.client.BadPeers()
	maps.DeleteFunc(peers, func(addr netip.AddrPort, _ time.Time) bool { return slices.Contains(bad, addr.Addr().String()) })
	o.known = freshest(peers, time.Now())
	if !o.worthSaving() {
		return
	}
	if err := durable.WriteFile(o.path, encodeOldPeers(o.known), 0o644); err != nil {
		o.client.log.Debug("peers are not written down", "error", err)
		return
	}
	o.saved = maps.Clone(o.known)
}

// worthSaving spares the disk what does not matter: that a peer is still of use.
func (o *oldPeers) worthSaving() bool {
	return !maps.EqualFunc(o.known, o.saved, func(now, then time.Time) bool { return now.Sub(then) < oldPeerPrecision })
}

// remember writes peers down now and then, so that a process that is killed has them.
func (d *discovery) remember() {
	for d.sleep(d.client.config.tuning.remember) {
		d.old.save(d.handle)
	}
}

// revisit offers the peers of before to the library until one is connected: it forgets an address after one failure. They are
// strangers, so private addresses are only dialled where that is allowed.
func (d *discovery) revisit() {
	rng := newRand()
	for n := 1; ; n++ {
		if d.handle.Stats().ActivePeers == 0 {
			for _, addr := range d.before {
				d.handle.AddPeers([]torrent.PeerInfo{{Addr: net.TCPAddrFromAddrPort(addr), Source: torrent.PeerSourceDirect}})
			}
		} else {
			n = 0
		}
		if !d.sleep(d.client.config.tuning.revisit.delay(max(n, 1), rng)) {
			return
		}
	}
}
