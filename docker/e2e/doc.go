// Package e2e holds the end-to-end tests: the real binaries as processes, real storage, a real DHT on loopback, and the
// programs that users have (curl, wget, zstd, tar, versitygw, and BitTorrent clients: aria2, libtorrent, qBittorrent, Transmission,
// rTorrent). It has no code of its own.
//
// The tests have the build tag e2e and are run by "make e2e". Each runs in a swarm of its own, one after the other,
// because a process can hold one embedded storage at a time. Clients that cannot be kept on loopback run in a network namespace
// without any other interface (unshare), and their test with them. A program that is missing skips the tests that use it, by
// name; where CI is true it fails them.
package e2e
