package durable_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"snapswarm/common/durable"
)

func TestFreeSpace(t *testing.T) {
	dir := t.TempDir()
	if free, err := durable.FreeSpace(dir); !errors.Is(err, errors.ErrUnsupported) && (err != nil || free <= 0) {
		t.Errorf("FreeSpace(%s) = %d, %v", dir, free, err)
	}
	missing := filepath.Join(dir, "missing")
	if _, err := durable.FreeSpace(missing); err == nil || !strings.Contains(err.Error(), missing) ||
		!errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("FreeSpace of what does not exist = %v, want an error that names it", err)
	}
}

func TestIsFull(t *testing.T) {
	for err, want := range map[error]bool{
		nil: false, fs.ErrPermission: false, syscall.EIO: false,
		syscall.ENOSPC: true, syscall.EDQUOT: true,
	} {
		wrapped := err
		if err != nil {
			wrapped = fmt.Errorf("wrapped: %w", &os.PathError{Op: "write", Path: "x", Err: err})
		}
		if got := durable.IsFull(wrapped); got != want {
			t.Errorf("IsFull(%v) = %t, want %t", wrapped, got, want)
		}
	}
}
