// Package schedule decides which pieces of a snapshot a mirror takes from an origin, so that mirrors that know nothing of each
// other but what peers tell (BEP 3: who has which pieces) together take about one copy, however many they are.
//
// It is pure: time, peers and what they have come in with a [View], chance with a seed. The same code runs in mirrors and in the
// simulation of thousands of them in docker/bench. Nothing here may be used by several goroutines at once.
//
// A piece is taken from the origin only if
//
//   - no peer that delivers has it. A peer delivers while it sent verified data or news of new pieces within the last ten seconds:
//     one that claims everything and gives nothing does not count;
//   - this mirror is elected. In a mesh of a few mirrors, a hash elects one for each unit of pieces among itself and the mirrors around
//     it that are not complete. In a larger one, it elects for each minute the one that takes from the origin; while nothing can be
//     got from peers, the next in rank join one by one after waits that double, so a dead or lying elected one costs seconds, and
//     those that take at the same time have shares of the units. Of one /24 or /64, only two mirrors count that have not delivered.
//     Nobody is elected while peers are still connecting, at the beginning: half of the peers would elect twice as many;
//   - this mirror's uplink has room: at least half of the peers already have nearly all of what it has, or lack no more than the uplink
//     moves in a second. This is what makes one copy suffice for thousands: a neighbourhood cannot know what is in the swarm
//     two hops away, so the origin must not feed new pieces faster than the swarm spreads the old ones;
//   - a request is free. How many are allowed adapts to the origin, one to four: one more while that brings more, half as many after a
//     failure.
//
// In a mesh of a few mirrors, one with a slow uplink would have the others wait for what it took. When hardly anything is left but pieces
// that one peer alone has had for longer than a request takes, those that lack them take them again: each piece one of them, and no more
// than a sixteenth of the snapshot all together.
//
// When peers have brought less than a floor for as long as the patience, whatever is missing is taken, even if they claim to have it.
package schedule
