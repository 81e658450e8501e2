package swarm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// File opens the file for reading, for example to send it with sendfile(2). Only ranges of pieces for which [Snapshot.Have] or
// [Snapshot.WaitPiece] said so afterwards may be read: if somebody else has changed the file, all pieces are hashed again first.
// If another file took its place, or none, File opens the one whose pieces are known, which lives on without a name until this
// process lets go of it; on systems other than Linux that is an error. A restart finds what then lies in its place, and hashes
// it. The caller closes the file; it stays readable after Remove.
func (s *Snapshot) File() (*os.File, error) {
	s.file.notice()
	ours, err := s.file.data.Stat()
	if err != nil {
		return nil, fmt.Errorf("open snapshot: %w", err)
	}
	f, err := openSame(s.file.path, noFollow, ours)
	if err == nil {
		return f, nil
	}
	f, again := reopen(s.file.data, ours)
	if again != nil {
		return nil, fmt.Errorf("open snapshot: %w", errors.Join(err, again))
	}
	// Changing over to the other file would mix the two for those who have ours open and wait for pieces of it.
	s.displaced.Do(func() {
		s.client.log.Warn("the file is not in its place any more: what was fetched is served on from where it was, until a restart, which starts with what lies there then",
			"file", s.file.path, "error", err)
	})
	return f, nil
}

var errOtherFile = errors.New("another file took its place")

// openSame opens the file at path if it is the one that ours describes.
func openSame(path string, flag int, ours fs.FileInfo) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|flag, 0)
	if err != nil {
		return nil, err // a *fs.PathError names the path
	}
	theirs, err := f.Stat()
	if err == nil && !os.SameFile(ours, theirs) {
		err = fmt.Errorf("open %s: %w", path, errOtherFile)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
