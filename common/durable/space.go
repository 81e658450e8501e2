package durable

import (
	"errors"
	"syscall"
)

// IsFull reports whether err is what the system says when a disk, or the user's share of it, has no room left.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
