// Package follow keeps the newest snapshot of channels on this machine: it looks for the pointer, downloads what it names,
// checks it as a whole, unpacks it if asked, keeps seeding the old version until then, and passes the pointer on.
//
// A [Follower] does so for as long as it runs. Each channel has a loop of its own, so that one that is broken never
// stops the others. The loop decides nothing: once a second, and whenever a job of it ends, it shows the pure function
// plan what is here and does the actions that plan returns. Everything slow (asking for the pointer, getting a
// torrent, hashing, unpacking) runs beside the loop, one job of a kind at a time.
//
// [Once] does the same a single time for a script: it ends with the file, or with one of this package's errors.
//
// # What is verified
//
// Every piece is hashed as it arrives, by the swarm. When all are here, the whole archive is hashed and compared with the
// SHA-256 that the publisher signed; only then does it count as complete, may older versions leave and may it be unpacked.
// That a file passed is remembered in DATA_DIR/<salt>/.verified, for this very file (size and modification time).
// A torrent without such a description (another publisher's) has only its pieces.
//
// # When the pointer moves during a download
//
// The newest version is what counts, so the older download stops: its pieces stay and are seeded until the newest is
// complete. But a download that is at least half done is finished first unless it stalls; and
// so is the second one in a row, so that a mirror slower than its publisher completes every other version instead of none.
package follow
