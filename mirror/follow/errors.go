package follow

import (
	"errors"

	"snapswarm/common/daemon"
	"snapswarm/common/pointer"
)

// What can keep a snapshot from getting here. [Once] returns errors that wrap these, those of package pointer, and the
// context's; [WithExitCode] knows their exit codes.
var (
	// ErrStale means that the newest pointer has expired, or is older than the caller accepts.
	ErrStale = errors.New("stale")
	// ErrNoSource means that neither a peer nor an origin has given anything.
	ErrNoSource = errors.New("no source has the data")
	// ErrStalled means that data came, and then none for too long.
	ErrStalled = errors.New("stalled")
	// ErrDisk means that the disk is too small, full or cannot be written.
	ErrDisk = errors.New("disk")
	// ErrVerification means that the data is not what the publisher signed.
	ErrVerification = errors.New("verification failed")
	// ErrOccupied means that something which was not unpacked here is in the way.
	ErrOccupied = errors.New("in the way")
	// ErrNotPacked means that the publisher passed its file through, so that there is nothing to unpack.
	ErrNotPacked = errors.New("not packed")
)

// WithExitCode gives err the exit code that scripts can rely on.
func WithExitCode(err error) error {
	for _, c := range []struct {
		is   error
		code daemon.Exit
	}{
		{pointer.ErrNotFound, daemon.ExitNoPointer},
		{pointer.ErrAllRefused, daemon.ExitRefused},
		{ErrStale, daemon.ExitStale},
		{ErrDisk, daemon.ExitDisk},
		{ErrNoSource, daemon.ExitNoData},
		{ErrStalled, daemon.ExitStalled},
		{ErrVerification, daemon.ExitVerification},
	} {
		if errors.Is(err, c.is) {
			return daemon.WithCode(c.code, err)
		}
	}
	return err
}
