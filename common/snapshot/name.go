package snapshot

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxFileName is the longest file name in bytes; common file systems allow no more, and a suffix
// such as ".torrent" has to fit behind it.
const MaxFileName = 200

// ErrUnsafeName is wrapped by errors about names that could leave their folder, hide, or confuse a
// terminal, a URL or a file system.
var ErrUnsafeName = errors.New("unsafe file name")

// CheckFileName accepts one element of a path: no separators, no control characters, not hidden and
// not a Windows device path. Names come out of torrents, so everything that is not plainly harmless
// is refused with an error that wraps [ErrUnsafeName].
func CheckFileName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: empty", ErrUnsafeName)
	case len(name) > MaxFileName:
		return fmt.Errorf("%w %q: longer than %d bytes", ErrUnsafeName, clip(name), MaxFileName)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w %q: not UTF-8", ErrUnsafeName, name)
	case strings.ContainsAny(name, `/\`):
		return fmt.Errorf("%w %q: holds a path separator", ErrUnsafeName, name)
	case name[0] == '.':
		return fmt.Errorf("%w %q: begins with a dot", ErrUnsafeName, name)
	case strings.ContainsFunc(name, unprintable):
		return fmt.Errorf("%w %q: holds an unprintable character", ErrUnsafeName, name)
	case strings.ContainsAny(name, `:*?"<>|`):
		return fmt.Errorf("%w %q: holds one of : * ? \" < > |", ErrUnsafeName, name)
	case strings.TrimSpace(name) != name || name[len(name)-1] == '.':
		return fmt.Errorf("%w %q: begins or ends with white space, or ends with a dot", ErrUnsafeName, name)
	}
	return nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
