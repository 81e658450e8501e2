// Command bench measures the commands of this repository beside programs that do the same work, all as real processes on
// 127.0.0.1 of this machine, and prints a report in Markdown: wall time, CPU time, memory, ratios, and for each bar that is
// set whether it was met.
//
//	go run ./docker/bench                   everything, about half an hour
//	go run ./docker/bench publish           one measurement
//	go run ./docker/bench -only '^8' swarm  some rows of those that have many
//	go run ./docker/bench -scale 0.05       a twentieth of the data: a quick look, whose figures mean little
//
// How it measures:
//
//   - The programs of a measurement take turns, round by round (A B A B), so that a machine's moods hit all alike. A figure is
//     the median of its rounds, and a ratio is the median of the ratios within each round.
//   - The wall time is that of the whole process, from its start to its end, unless a note says otherwise.
//   - CPU time and peak memory come from the kernel's accounts of the processes. The peak of a child is never below that of
//     this program itself, which therefore stays small.
//   - Before each run dirty pages are written out, and memory for what it will write is used once, which a virtual machine pays
//     for dearly. Then a busy machine may come to rest, and a run during which other processes took more than a tenth of the
//     machine is repeated, until -patience is used up. What they took is part of the report: above a few percent, trust CPU
//     times rather than wall times.
//   - Mirrors that share an origin are processes, too; the origin is this program, which sends at most 32 MiB/s. Crowds of mirrors
//     are simulated, by the same rule that the processes follow; -plot draws them.
//   - Whoever polls, restarts or goes on after a kill is judged by the slowest run, not by the median.
//   - Files come from the page cache. No network is involved: DHT, UPnP, LSD and PEX of foreign clients are off.
//   - Every file that was transferred is compared with its source, outside of the time that is measured.
//
// Benchmarks of single packages are Go's own: go test -run='^$' -bench=. ./...
//
// A program that is not installed is reported as such and left out. Its data, 5 GB at most, lies in a temporary folder (-dir),
// which is removed at the end, also after Ctrl-C.
//
// A new measurement is a file with a function that takes a *bench and returns a section, and a line in [measurements].
package main
