package follow

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"snapswarm/common/daemon"
	"snapswarm/common/snapshot"
)

// verifyBlock is how much is read at once: large enough for any disk, small enough to stop soon.
const verifyBlock = 1 << 20

// verifyArchive hashes the file of c from beginning to end and compares it with what the publisher signed. On success it
// puts a seal. Without a description there is nothing to compare with but the pieces.
func verifyArchive(ctx context.Context, c Copy, seals seals, task *daemon.Task) error {
	f, err := os.Open(c.Path())
	if err != nil {
		return fmt.Errorf("%w: verify archive: %w", ErrDisk, err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return fmt.Errorf("%w: verify archive: %w", ErrDisk, err)
	}
	synced := make(chan error, 1)
	go func() { synced <- c.Sync() }() // hashing needs a core, this the disk
	if d := c.Torrent().Description; d != nil {
		err = hashFile(ctx, f, d, c, task)
	} else {
		err = checkPieces(ctx, c)
	}
	if e := <-synced; err == nil && e != nil { // a power loss must not leave a seal on a file with holes
		err = fmt.Errorf("%w: verify archive: %w", ErrDisk, e)
	}
	if err != nil {
		return err
	}
	after, err := os.Stat(c.Path())
	if err != nil || markOf(before) != markOf(after) {
		return fmt.Errorf("%w: %s was written to while it was hashed", ErrVerification, c.Path())
	}
	return seals.put(c.Torrent().InfoHash, markOf(after))
}

func hashFile(ctx context.Context, f io.Reader, d *snapshot.Description, c Copy, task *daemon.Task) error {
	hash := sha256.New()
	n, err := io.CopyBuffer(hash, &meteredReader{ctx: ctx, r: f, task: task}, make([]byte, verifyBlock))
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("verify %s: %w", c.Path(), context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("%w: verify archive: %w", ErrDisk, err)
	case n != c.Torrent().Length:
		return fmt.Errorf("%w: %s has %d bytes, the torrent says %d", ErrVerification, c.Path(), n, c.Torrent().Length)
	case [sha256.Size]byte(hash.Sum(nil)) == d.SHA256:
		return nil
	}
	if err := checkPieces(ctx, c); err != nil {
		return err
	}
	return fmt.Errorf("%w: every piece of %s is right, but its SHA-256 is %x and the publisher signed %x: the publisher described it wrongly",
		ErrVerification, c.Path(), hash.Sum(nil), d.SHA256)
}

// errMending means that the disk lost pieces, which are now missing and fetched again.
var errMending = errors.New("damaged on disk")

func checkPieces(ctx context.Context, c Copy) error {
	bad, err := c.Check(ctx)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("verify %s: %w", c.Path(), context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("%w: verify archive: %w", ErrDisk, err)
	case bad > 0:
		return fmt.Errorf("%w: %s of %s, fetched again; check the disk if this repeats", errMending, count(bad, "piece"), c.Path())
	}
	return nil
}

// meteredReader counts into a task and ends with its context.
type meteredReader struct {
	ctx  context.Context //nolint:containedctx // io.Reader has no room for it
	r    io.Reader
	task *daemon.Task
}

func (m *meteredReader) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	m.task.Add(int64(n))
	return n, err
}

// intact reports whether the file of c is the one that got its seal.
func intact(c Copy, seals seals) bool {
	info, err := os.Stat(c.Path())
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	sealed, err := seals.get(c.Torrent().InfoHash)
	return err == nil && sealed == markOf(info)
}

var errNoSeal = errors.New("no seal")

// mark tells one content of a file from another without reading it.
type mark struct {
	Size     int64 `json:"size"`
	Modified int64 `json:"modified"` // unix nanoseconds
}

func markOf(info fs.FileInfo) mark { return mark{info.Size(), info.ModTime().UnixNano()} }
