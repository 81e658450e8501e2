package main

import (
	"errors"
	"io/fs"

	"snapswarm/common/archive"
	"snapswarm/common/bucket"
	"snapswarm/common/daemon"
	"snapswarm/common/pointer"
	"snapswarm/producer/publish"
)

// coded gives err the exit code that its reason has. The first row that fits counts.
func coded(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bucket.ErrDenied) && daemon.ExitOf(err) == daemon.ExitDisk: // the disk of the bucket, not of DATA_DIR
		return daemon.WithCode(daemon.ExitBucket, err)
	case daemon.ExitOf(err) != daemon.ExitOther:
		return err
	}
	for _, row := range []struct {
		reason error
		code   daemon.Exit
	}{
		{publish.ErrNoSpace, daemon.ExitDisk},
		{publish.ErrHeld, daemon.ExitTaken},
		{publish.ErrForeignPointer, daemon.ExitTaken},
		{publish.ErrOvertaken, daemon.ExitTaken},
		{publish.ErrName, daemon.ExitUsage},
		{publish.ErrPrivate, daemon.ExitUsage},
		{publish.ErrHeight, daemon.ExitUsage},
		{publish.ErrNotNewest, daemon.ExitUsage},
		{publish.ErrNothingBefore, daemon.ExitNoData},
		{publish.ErrCommand, daemon.ExitSource},
		{publish.ErrEmpty, daemon.ExitSource},
		{archive.ErrSourceChanged, daemon.ExitSource},
		{archive.ErrUnreadable, daemon.ExitSource},
		{archive.ErrUnsupportedEntry, daemon.ExitSource},
		{archive.ErrTooManyEntries, daemon.ExitSource},
		{archive.ErrTooLong, daemon.ExitSource},
		{publish.ErrWrongBytes, daemon.ExitVerification},
		{publish.ErrNotPublic, daemon.ExitBucket},
		{bucket.ErrDenied, daemon.ExitBucket},
		{bucket.ErrUnreachable, daemon.ExitBucket},
		{bucket.ErrBadConfig, daemon.ExitUsage},
		{publish.ErrStale, daemon.ExitStale},
		{pointer.ErrAllRefused, daemon.ExitRefused},
		{pointer.ErrNotFound, daemon.ExitNoPointer},
		{fs.ErrPermission, daemon.ExitDisk},
	} {
		if errors.Is(err, row.reason) {
			return daemon.WithCode(row.code, err)
		}
	}
	return err
}

// codedOpen is coded for errors of opening the bucket: a folder that is not there is a bucket that refuses.
func codedOpen(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return daemon.WithCode(daemon.ExitBucket, err)
	}
	return coded(err)
}
