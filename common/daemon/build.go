package daemon

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Build says which source a program was built from.
type Build struct {
	Version  string // the module's version, "devel" when built without one
	Revision string // commit of the repository, "" when unknown; "+dirty" marks uncommitted changes
	Go       string // version of the toolchain
}

// ReadBuild returns what the linker recorded about the running program.
func ReadBuild() Build {
	b := Build{Version: "devel", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		b.Version = v
	}
	var dirty bool
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value[:min(12, len(s.Value))]
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	if dirty && b.Revision != "" {
		b.Revision += "+dirty"
	}
	return b
}

// String is the text behind the program's name in --version.
func (b Build) String() string {
	revision := b.Revision
	if revision == "" {
		revision = "unknown"
	}
	return fmt.Sprintf("%s (revision %s, %s, %s/%s)", b.Version, revision, b.Go, runtime.GOOS, runtime.GOARCH)
}
