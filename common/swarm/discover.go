package swarm

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/anacrolix/torrent"

	"snapswarm/common/snapshot"
)

// seedPeers are the resolved addresses of peers that an operator named. The zero value is empty.
type seedPeers struct {
	mu    sync.Mutex
	addrs map[string]struct{}
}

func (s *seedPeers) contains(addr string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.addrs[addr]
	return ok
}

func (s *seedPeers) add(addr string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addrs == nil {
		s.addrs = make(map[string]struct{})
	}
	s.addrs[addr] = struct{}{}
}

// discovery finds peers for one snapshot until it is stopped.
type discovery struct {
	client *Client
	handle *torrent.Torrent
	peers  []string
	old    *oldPeers        // nil: none are remembered
	before []netip.AddrPort // peers of before a restart
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// newDiscovery prepares to find peers. Those that data was exchanged with are remembered beside the file in dir; "" stands for
// nothing that is kept.
func newDiscovery(c *Client, handle *torrent.Torrent, peers []string, dir string) *discovery {
	ctx, cancel := context.WithCancel(context.Background())
	d := &discovery{client: c, handle: handle, peers: slices.Concat(c.config.SeedPeers, peers), ctx: ctx, cancel: cancel}
	if dir != "" {
		d.old = openOldPeers(c, snapshot.InfoHash(handle.InfoHash()), dir)
		d.before = newestFirst(d.old.known)
	}
	return d
}

func (d *discovery) start() {
	if len(d.peers) > 0 {
		d.wg.Go(d.redial)
	}
	if len(d.client.library.DhtServers()) > 0 {
		d.wg.Go(d.announce)
	}
	if d.old != nil {
		d.wg.Go(d.remember)
	}
	if len(d.before) > 0 {
		d.wg.Go(d.revisit)
	}
}

// alone reports whether no way is known to find a peer.
func (d *discovery) alone() bool {
	node := d.client.config.DHT
	return len(d.peers) == 0 && len(d.before) == 0 && len(d.client.config.Trackers) == 0 && (node == nil || node.Alone())
}

func (d *discovery) stop() {
	d.cancel()
	d.wg.Wait()
	if d.old != nil {
		d.old.save(d.handle)
	}
}

// sleep waits and reports false when it is time to stop.
func (d *discovery) sleep(wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-d.ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// newRand is a source of randomness of one goroutine.
func newRand() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) }

// redial offers the seed peers to the library again and again: it forgets an address after one failure.
func (d *discovery) redial() {
	rng := newRand()
	for n := 1; ; n++ {
		if d.missing(d.offer()) {
			if !d.sleep(d.client.config.tuning.redial.delay(n, rng)) {
				return
			}
			continue
		}
		n = 0
		if !d.sleep(d.client.config.tuning.redial.most) {
			return
		}
	}
}

// offer resolves the seed peers and hands them to the library. Names are resolved here, because the library panics when it bans
// a peer that it knows by name.
func (d *discovery) offer() []netip.AddrPort {
	var addrs []netip.AddrPort
	for _, p := range d.peers {
		ap, err := resolve(d.ctx, p)
		if err != nil {
			d.client.log.DebugContext(d.ctx, "seed peer does not resolve", "peer", p, "error", err)
			continue
		}
		addrs = append(addrs, ap)
		d.client.named.add(ap.String())
		d.handle.AddPeers([]torrent.PeerInfo{{Addr: net.TCPAddrFromAddrPort(ap), Source: torrent.PeerSourceDirect}})
	}
	return addrs
}

// resolve finds the first address of host:port.
func resolve(ctx context.Context, hostPort string) (netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(hostPort)
	if err != nil {
		return netip.AddrPort{}, err // names the text
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(ips[0].Unmap(), uint16(port)), nil
}

// missing reports whether one of addrs is not connected.
func (d *discovery) missing(addrs []netip.AddrPort) bool {
	connected := make(map[string]struct{})
	for _, pc := range d.handle.PeerConns() {
		connected[pc.RemoteAddr.String()] = struct{}{}
	}
	for _, a := range addrs {
		if _, ok := connected[a.String()]; !ok {
			return true
		}
	}
	return false
}

// announce tells the DHT about this node and asks it for others: often while there are no peers, because in a young swarm
// the others announce at the same time, and every few minutes afterwards, because announcements expire.
func (d *discovery) announce() {
	rng := newRand()
	t := d.client.config.tuning
	for n := 1; ; n++ {
		d.announceOnce()
		wait := t.announce.delay(n, rng)
		if d.handle.Stats().ActivePeers > 0 && n > 1 {
			wait = t.announceSettled - time.Duration(rng.Int64N(int64(t.announceSettled/4)))
		}
		if !d.sleep(wait) {
			return
		}
	}
}

// announceTime bounds one announcement.
const announceTime = 2 * time.Minute

func (d *discovery) announceOnce() {
	for _, server := range d.client.library.DhtServers() {
		done, stop, err := d.handle.AnnounceToDht(server)
		if err != nil {
			d.client.log.DebugContext(d.ctx, "announce to DHT", "error", err)
			continue
		}
		timer := time.NewTimer(announceTime)
		select {
		case <-done:
		case <-timer.C:
		case <-d.ctx.Done():
		}
		timer.Stop()
		stop()
		<-done
	}
}
