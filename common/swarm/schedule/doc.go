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
//     it that are not complete. In a larger one, it elects for each minute the one that takes from the origin while it is hungry, as
//     below; the hungrier, the more of the next in rank join, so a dead or lying elected one costs seconds, and those that take at the
//     same time have shares of the units. Of one /24 or /64, only two mirrors count that have not delivered. Nobody is elected while
//     peers are still connecting, at the beginning: half of the peers would elect twice as many;
//   - this mirror's uplink has room: at least half of the peers already have nearly all of what it has, or lack no more than the uplink
//     moves in a second. This is what makes one copy suffice for thousands: a neighbourhood cannot know what is in the swarm
//     two hops away, so the origin must not feed new pieces faster than the swarm spreads the old ones. Who is hungry for long, because
//     uplinks are busy with newcomers, may be ahead by more;
//   - a request is free. How many are allowed adapts to the origin, one to four: one more while that brings more, half as many after a
//     failure.
//
// Hunger tells how much a crowd needs, of any size. A mirror of a large mesh is hungry while the peers that deliver have
// less than a sixty-fourth of the snapshot that it lacks, and its uplink has room. All begin hungry enough for one in each neighbourhood
// to take something: nobody knows how large the crowd is. They learn it from what turns up next: if that is ten times what would have
// been enough, ten times too many neighbourhoods took something, and hunger begins at a tenth the next time. Where it is shorter than
// a request takes, mirrors draw lots: a tenth of a request's time makes a tenth of them take something. It doubles in the time of a
// request, so that the others hear of what some took before they would join; when it is longer than that, one more in each
// neighbourhood joins whenever it has doubled again.
//
// In a mesh of a few mirrors, one with a slow uplink would have the others wait for what it took. When hardly anything is left but pieces
// that one peer alone has had for longer than a request takes, those that lack them take them again: each piece one of them, and no more
// than a sixteenth of the snapshot all together.
//
// When peers have brought less than a floor for as long as the patience, whatever is missing is taken, even if they claim to have it.
package schedule
