package swarm

import (
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// schedule decides which pieces are taken from an origin. It is a pure type: all it knows comes in with the view, and its
// randomness with the order of units, so that it can be tested and simulated without a network.
//
// The rule: a unit of adjacent pieces is taken if no connected peer has its piece and, among this client and the connected
// mirrors that lack it too, a hash elects this client; a few at a time and in random order, so that simultaneous mirrors share
// the work. When nothing at all arrives for a while, one unit of others is taken. When peers have brought nothing for as long as
// the patience, whatever is missing is taken, even if they claim to have it; progress from origins does not count here, else
// peers that lie would slow a mirror down to one batch per patience.
type schedule struct {
	policy OriginPolicy
	self   [20]byte // this client's peer id
	pieces int
	unit   int   // pieces per unit
	order  []int // of units
	slots  int   // units in flight
	// overdue is after how long without any progress the work of others is done, patience after how long without progress from
	// peers they are not waited for.
	overdue, patience time.Duration
	// grace is how long a first peer is waited for at the beginning.
	grace time.Duration
}

// view is what a decision rests on.
type view struct {
	now, started time.Time
	// lastProgress is when payload came from anywhere, lastPeers when it came from peers.
	lastProgress, lastPeers time.Time

	inFlight int
	// wanted reports whether piece i is missing, asked for by somebody and not on its way from an origin.
	wanted func(i int) bool
	// held is what at least one connected peer has.
	held  pieceSet
	peers []peerView
}

type peerView struct {
	id [20]byte
	// mirror means that the peer takes pieces from origins by this same rule.
	mirror bool
	has    pieceSet
}

type pieceSet interface{ Contains(piece uint32) bool }

// unitBytes is what one request to an origin is for, if pieces are smaller.
const unitBytes = 4 << 20

func newSchedule(policy OriginPolicy, self [20]byte, pieces int, pieceLength int64, rng *rand.Rand) *schedule {
	// Small snapshots are cut finer, so that mirrors have something to share.
	unit := max(1, min(int(unitBytes/pieceLength), pieces/32))
	return &schedule{
		policy: policy, self: self, pieces: pieces, unit: unit,
		order: rng.Perm((pieces + unit - 1) / unit),
	}
}

// pick returns the runs to take now, the first wanted pieces of one unit each.
func (s *schedule) pick(v view) []run {
	free := s.slots - v.inFlight
	if free <= 0 || s.policy == OriginNever {
		return nil
	}
	regardless := s.policy == OriginAlways || v.now.Sub(v.lastPeers) >= s.patience
	if !regardless && len(v.peers) == 0 && v.now.Sub(v.started) < s.grace {
		return nil
	}
	mine, others := s.choose(v, free, regardless)
	overdue := v.now.Sub(v.lastProgress) >= s.overdue
	if len(mine) == 0 && v.inFlight == 0 && overdue && others.n > 0 {
		return []run{others}
	}
	return mine
}

// choose returns up to n runs that are this client's to take, and one that is others'.
func (s *schedule) choose(v view, n int, regardless bool) (mine []run, others run) {
	for _, u := range s.order {
		r, ok := s.candidate(u, v, regardless)
		if !ok {
			continue
		}
		if regardless || s.elected(u, r.first, v.peers) {
			mine = append(mine, r)
			if len(mine) == n {
				break
			}
		} else if others.n == 0 {
			others = r
		}
	}
	return mine, others
}

// run is n adjacent pieces.
type run struct{ first, n int }

// candidate is the first run of unit u that is wanted and, unless regardless, held by no peer.
func (s *schedule) candidate(u int, v view, regardless bool) (run, bool) {
	var r run
	for i := u * s.unit; i < min((u+1)*s.unit, s.pieces); i++ {
		if v.wanted(i) && (regardless || !v.held.Contains(uint32(i))) {
			if r.n == 0 {
				r.first = i
			}
			r.n++
		} else if r.n > 0 {
			break
		}
	}
	return r, r.n > 0
}

// elected reports whether this client comes first for unit u among itself and the mirrors that lack its piece.
func (s *schedule) elected(u, piece int, peers []peerView) bool {
	mine := rank(u, s.self)
	for _, p := range peers {
		if p.mirror && p.id != s.self && !p.has.Contains(uint32(piece)) && rank(u, p.id) > mine {
			return false
		}
	}
	return true
}

// rank is the same for everyone (rendezvous hashing): each unit has its own order of peers.
func rank(u int, id [20]byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(id[:])
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(u)))
	// FNV's high bits hardly depend on the last bytes; the finalizer of SplitMix64 spreads them.
	x := h.Sum64()
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
