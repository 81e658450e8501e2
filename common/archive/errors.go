package archive

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

// Errors that callers decide on. They are always wrapped with the file, frame or entry that they are about.
var (
	// ErrTooLong: the data is longer than what was signed (or than the format allows). Nothing beyond the limit was written.
	ErrTooLong = errors.New("longer than signed")
	// ErrCorrupt: the bytes are not what the format, their checksums or the signed hash say.
	ErrCorrupt = errors.New("corrupt archive")
	// ErrNotSeekable: there is no seek table at the end, so this is another kind of file or one cut short. It is an ErrCorrupt too.
	ErrNotSeekable = fmt.Errorf("%w: no zstd seek table at its end", ErrCorrupt)
	// ErrUnsafePath: an entry's name would leave the destination, is taken already, or cannot be a file name.
	ErrUnsafePath = errors.New("unsafe path")
	// ErrUnsupportedEntry: something that is neither a regular file nor a directory. From a source it is an *UnsupportedError.
	ErrUnsupportedEntry = errors.New("neither a regular file nor a directory")
	// ErrTooManyEntries: a tree of more than MaxEntries files and directories.
	ErrTooManyEntries = errors.New("too many entries")
	// ErrSourceChanged: the source was written to, replaced or removed between its first look and the end of the read.
	ErrSourceChanged = errors.New("source changed while it was read")
	// ErrUnreadable: the source exists not, or may not be read, or its disk fails.
	ErrUnreadable = errors.New("source unreadable")
)

// Unsupported is one entry that a tree cannot carry.
type Unsupported struct {
	Path string // relative to the source
	Kind string // "symbolic link", "socket", …
}

// UnsupportedError lists everything in a directory that cannot be packed, so that one run shows the whole work.
type UnsupportedError struct {
	Root    string
	Entries []Unsupported
}

// Error names up to ten of the entries.
func (e *UnsupportedError) Error() string {
	const most = 10
	var names []string
	for _, u := range e.Entries[:min(len(e.Entries), most)] {
		names = append(names, fmt.Sprintf("%q (%s)", u.Path, u.Kind))
	}
	more := ""
	if n := len(e.Entries) - most; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("pack %s: %v: %s%s", e.Root, ErrUnsupportedEntry, strings.Join(names, ", "), more)
}

// Unwrap makes it an ErrUnsupportedEntry.
func (e *UnsupportedError) Unwrap() error { return ErrUnsupportedEntry }

// sourceError classifies what the file system said about a source: a planned file that is gone has changed.
func sourceError(path string, planned bool, err error) error {
	var pe *fs.PathError
	cause := err
	if errors.As(err, &pe) {
		cause = pe.Err
	}
	if planned && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w: %w", path, ErrSourceChanged, cause)
	}
	return fmt.Errorf("read %s: %w: %w", path, ErrUnreadable, cause)
}

// truncated turns a short read into ErrCorrupt and leaves every other failure of the medium as it is.
func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: cut short", ErrCorrupt)
	}
	return err
}
