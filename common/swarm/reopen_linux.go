package swarm

import (
	"io/fs"
	"os"
	"strconv"
)

// reopen opens a file that is open already, and that info describes, once more, with an offset of its own, whatever has become
// of its name.
func reopen(f dataFile, info fs.FileInfo) (*os.File, error) { return openSame(procPath(f), 0, info) }

// procPath is a name under which a file that is open can be opened again.
func procPath(f dataFile) string { return "/proc/self/fd/" + strconv.FormatUint(uint64(f.Fd()), 10) }
