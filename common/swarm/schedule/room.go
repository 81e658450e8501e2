package schedule

import "slices"

// In meshes that are small the units of several mirrors are never the same, so one may be ahead by more of them: by what its uplink
// moves in some seconds, within bounds. What a slow uplink is ahead by is what the others wait for in the end.
const (
	leastSmallRoom = 2
	mostSmallRoom  = 4
	smallRoomTime  = 4 // seconds
)

// newcomer is by how many units more than twice as many as it has a mirror must be ahead of a peer that came later. Such a peer has
// enough to ask others for; nobody who is nearly complete shall stop for it.
const newcomer = 16

// room is how many units more may be taken until the uplink is busy: of what this mirror has, half of its peers may lack one unit,
// what is on its way included, and some more if it is hungry: one for each time hunger has doubled, and twice as many each
// time after the fourth. All uplinks may be busy with newcomers for long; that is no reason to starve.
func (r *Rule) room(v *View) int {
	if len(r.lacking) == 0 {
		return r.Tuning.MostInFlight
	}
	units := max(1, r.appetite(), 1<<r.appetite()/4)
	if r.small() {
		units = max(units, leastSmallRoom, min(int(smallRoomTime*v.Uplink)/r.Unit, mostSmallRoom))
	}
	// What the uplink moves in a second is no burden, however few ask for it.
	most, silent := max(units*r.Unit, int(v.Uplink)), v.Now.Add(-3*r.alive())
	r.lacks = r.lacks[:0]
	ahead := v.Have.Len() - newcomer*r.Unit
	for _, p := range r.lacking {
		if p.sign().After(silent) && 2*p.Has.Len() >= ahead {
			r.lacks = append(r.lacks, v.Have.without(p.Has, most))
		}
	}
	median := 0
	if len(r.lacks) > 0 {
		slices.Sort(r.lacks)
		median = r.lacks[len(r.lacks)/2]
	}
	return (most-median+r.Unit-1)/r.Unit - v.InFlight
}
