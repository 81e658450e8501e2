package publish

import (
	"os"

	"golang.org/x/sys/unix"
)

// startFlush has the kernel begin to write the bytes from begin to end to the disk. An fsync here instead would block its
// thread until they are there, and with it one of the runtime's processors until the runtime notices, which the encoders
// would miss. It is a hint; whether everything has arrived is for the last fsync to say.
func startFlush(f *os.File, begin, end int64) {
	_ = unix.SyncFileRange(int(f.Fd()), begin, end-begin, unix.SYNC_FILE_RANGE_WRITE)
}
