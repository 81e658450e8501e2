// Package crash kills the programs of a whole swarm again and again while it is at work, and compares all that can be seen of it with
// a small model of what must hold. It has no code of its own.
//
// A producer that publishes one snapshot after another, two mirrors, a gateway, storage and a private DHT run as package stack starts
// them. SIGKILL hits one of the processes, or two at once, at instants that are random in time or tied to an event: a step of a
// publication, a request to the storage before, in or after it, a piece that was announced, an answer that is half sent. Meanwhile
// observers look from outside, by other ways than the programs' own:
//
//   - the pointer is read from the storage and, by packets of BEP 44, from each node of the DHT that is never killed; what it names
//     is fetched whole and compared with what the source really was;
//   - every connection between peers goes through a relay that reads BitTorrent: what is sent, what is said to be there, what is
//     taken twice;
//   - every request to the storage goes through a proxy that knows which process asks;
//   - readers of the gateway compare every byte, and go on with downloads that a kill broke off;
//   - between two rows of kills the swarm must come to rest with the newest snapshot everywhere and not one file more than in a swarm
//     that nobody killed.
//
// The model is model_test.go: history knows what was seen and returns an error for each observation that must not be. Its own tests
// forge such observations.
//
// CRASH_KILLS is the number of kills, CRASH_SEED repeats the choices of an earlier run (not its timing, which is the machine's).
package crash
