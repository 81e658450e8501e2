package publish

import (
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
)

// The sentinels that callers decide on. Errors of the source wrap those of package archive, errors of the bucket those
// of package bucket.
var (
	// ErrHeld means that another process publishes this channel; see [HeldError].
	ErrHeld = errors.New("another publisher holds the channel")
	// ErrForeignPointer means that the bucket holds the pointer of another key under this channel's name.
	ErrForeignPointer = errors.New("the bucket belongs to another publisher's channel")
	// ErrOvertaken means that another producer with the same key published while this one did.
	ErrOvertaken = errors.New("another producer published on the channel meanwhile")
	// ErrNotPublic means that what was stored cannot be read through the public address.
	ErrNotPublic = errors.New("not publicly readable")
	// ErrWrongBytes means that the public address gives other bytes than those that were stored.
	ErrWrongBytes = errors.New("the public address gives wrong bytes")
	// ErrNoSpace means that the disk has too little room, see [SpaceError].
	ErrNoSpace = errors.New("not enough disk space")
	// ErrName means that the download name cannot be used.
	ErrName = errors.New("unusable download name")
	// ErrEmpty means that the source holds no data: it would replace a snapshot by nothing.
	ErrEmpty = errors.New("nothing to publish")
	// ErrCommand means that the snapshot command failed.
	ErrCommand = errors.New("snapshot command failed")
)

// HeldError says who holds a channel. It is an [ErrHeld].
type HeldError struct {
	Salt   string
	Holder Holder
	// Until is when the holder's lease ends if it is not renewed; the zero time for a process with the same data directory.
	Until time.Time
	// Copied means that the holder's data directory is a copy of this one.
	Copied bool
}

func (e *HeldError) Error() string {
	who := fmt.Sprintf("%v: %s is held by %s", ErrHeld, e.Salt, e.Holder)
	switch {
	case e.Until.IsZero():
		return who + "; stop that one first, or use another DATA_DIR and channel"
	case e.Copied:
		who += ", whose DATA_DIR is a copy of this one"
	}
	return who + fmt.Sprintf(", with a lease in the bucket until %s unless it is renewed; stop that one, or wait until then if it is dead",
		e.Until.UTC().Format(time.RFC3339))
}

// Is makes a HeldError an ErrHeld.
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// Holder is the process that holds a channel.
type Holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Command string    `json:"command"`
	Since   time.Time `json:"since"`
}

func (h Holder) String() string {
	if h.PID == 0 {
		return "an unknown process"
	}
	return fmt.Sprintf("process %d (%s) on %s since %s", h.PID, h.Command, h.Host, h.Since.Format(time.RFC3339))
}

// SpaceError says what was needed and what there is. It is an [ErrNoSpace].
type SpaceError struct {
	Dir  string
	Need int64 // at most, in bytes
	Have int64 // in bytes
}

func (e *SpaceError) Error() string {
	return fmt.Sprintf("%v in %s: the archive needs up to %s, there are %s; free some or choose another DATA_DIR",
		ErrNoSpace, e.Dir, size(e.Need), size(e.Have))
}

// Is makes a SpaceError an ErrNoSpace.
func (e *SpaceError) Is(target error) bool { return target == ErrNoSpace }

func size(n int64) string {
	return fmt.Sprintf("%s (%d bytes)", humanize.IBytes(uint64(max(n, 0))), n)
}
