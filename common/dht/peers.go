package dht

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

const (
	// peerTTL is how long an announced peer is kept. Clients announce about every 15 to 30 minutes.
	peerTTL = 45 * time.Minute
	// maxPeersPerHash and maxPeersReturned bound what one torrent takes of memory and of a reply.
	maxPeersPerHash  = 200
	maxPeersReturned = 50
	// meanPeers is how many peers a torrent may have when all that are kept are counted: few have many.
	meanPeers = 10
)

// peerStore keeps the peers that others announced here, for [peerTTL], at most [maxPeersPerHash] of
// each torrent, so many torrents, and [meanPeers] times as many peers of all. When it is full, the
// torrent announced least recently goes.
type peerStore struct {
	max int
	now func() time.Time

	mu     sync.Mutex
	byHash map[id]*list.Element // of *swarm; guarded by mu
	order  *list.List           // least recently announced in front; guarded by mu
	count  int                  // peers of all torrents; guarded by mu
}

// swarm is the peers of one torrent.
type swarm struct {
	hash  id
	last  time.Time
	peers map[netip.AddrPort]time.Time
}

func newPeerStore(limit int, now func() time.Time) *peerStore {
	return &peerStore{max: limit, now: now, byHash: make(map[id]*list.Element), order: list.New()}
}

// add notes that a peer announced itself.
func (s *peerStore) add(hash id, peer netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	e := s.byHash[hash]
	if e == nil {
		for len(s.byHash) >= s.max {
			s.remove(s.order.Front())
		}
		e = s.order.PushBack(&swarm{hash: hash, peers: make(map[netip.AddrPort]time.Time)})
		s.byHash[hash] = e
	}
	s.order.MoveToBack(e)
	sw := e.Value.(*swarm)
	sw.last = s.now()
	if _, known := sw.peers[peer]; !known {
		s.makeRoom(e)
		s.count++
	}
	sw.peers[peer] = sw.last
}

// makeRoom lets another peer enter the swarm in e, in the place of any other one of it when that is
// full, and of other torrents when everything is. Caller holds s.mu.
func (s *peerStore) makeRoom(e *list.Element) {
	for s.count >= s.max*meanPeers && s.order.Front() != e {
		s.remove(s.order.Front())
	}
	sw := e.Value.(*swarm)
	if len(sw.peers) < maxPeersPerHash && s.count < s.max*meanPeers {
		return
	}
	for other := range sw.peers {
		delete(sw.peers, other)
		s.count--
		return
	}
}

// get returns some of the peers of a torrent, at random.
func (s *peerStore) get(hash id) []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	e := s.byHash[hash]
	if e == nil {
		return nil
	}
	sw := e.Value.(*swarm)
	var peers []netip.AddrPort
	for addr, at := range sw.peers { // Go's maps iterate from a random place
		if s.now().Sub(at) >= peerTTL {
			delete(sw.peers, addr)
			s.count--
			continue
		}
		if len(peers) < maxPeersReturned {
			peers = append(peers, addr)
		}
	}
	return peers
}

// len is how many torrents have peers here.
func (s *peerStore) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	return len(s.byHash)
}

// expire drops torrents without recent announces. Caller holds s.mu.
func (s *peerStore) expire() {
	for e := s.order.Front(); e != nil; e = s.order.Front() {
		if s.now().Sub(e.Value.(*swarm).last) < peerTTL {
			return
		}
		s.remove(e)
	}
}

// remove forgets a torrent. Caller holds s.mu.
func (s *peerStore) remove(e *list.Element) {
	sw := e.Value.(*swarm)
	s.count -= len(sw.peers)
	delete(s.byHash, sw.hash)
	s.order.Remove(e)
}
