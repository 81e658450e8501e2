package publish

import (
	"context"
	"log/slog"
	"time"

	"snapswarm/common/snapshot"
)

// RunCommand runs a snapshot command for a process that can be killed under it.
var RunCommand = runCommand //nolint:gochecknoglobals // for tests

// ProbePieces are the pieces that are read of a torrent.
var ProbePieces = probePieces //nolint:gochecknoglobals // for tests

// Probe reads a snapshot that lies in a bucket as a publication does before it moves the pointer.
func Probe(ctx context.Context, public Public, salt string, t *snapshot.Torrent, patience time.Duration) error {
	p := prober{public: public, channel: salt, store: "a test", patience: patience, log: slog.New(slog.DiscardHandler)}
	return p.snapshot(ctx, keysOf(salt, t), t)
}
