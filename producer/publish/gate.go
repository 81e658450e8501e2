package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
)

// ErrHeight means that the block height given cannot follow that of the newest snapshot.
var ErrHeight = errors.New("wrong block height")

// checkHeight lets a snapshot pass whose block height does not go back: readers would take an older state for a newer
// one. An equal height is fine, because the same state may be packed anew, in another format for example; so is none,
// which says nothing. It is asked before anything is packed.
func checkHeight(ctx context.Context, log *slog.Logger, req Request, newest uint64) error {
	height := req.Height
	log = log.With("newest", newest)
	switch {
	case height > math.MaxInt64: // no pointer could hold it
		return fmt.Errorf("%w: %d is too large", ErrHeight, height)
	case newest == 0:
	case height == 0:
		log.WarnContext(ctx, "the newest snapshot has a block height, this one has none; set HEIGHT (--height), or let SNAPSHOT_COMMAND print HEIGHT=…")
	case height == newest:
		log.InfoContext(ctx, "this snapshot has the block height of the newest one", "height", height)
	case height < newest && req.Force:
		log.WarnContext(ctx, "the block height goes back, as --force allows", "height", height)
	case height < newest:
		return fmt.Errorf("%w: %d is lower than that of the newest snapshot, %d; nothing was packed. "+
			"If the height is right all the same, producer publish --force takes it", ErrHeight, height, newest)
	}
	return nil
}
