//go:build !unix

package durable

import (
	"errors"
	"fmt"
)

// FreeSpace is not known here; the error wraps errors.ErrUnsupported.
func FreeSpace(dir string) (int64, error) {
	return 0, fmt.Errorf("look at free space of %s: %w", dir, errors.ErrUnsupported)
}
