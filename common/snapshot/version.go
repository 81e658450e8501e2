package snapshot

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const versionTime = "20060102T150405Z"

// Version names one immutable snapshot of a channel: the UTC second of its publication and, if it
// has one, its block height, as in 20261120T060000Z or 20261120T060000Z-h1234. Versions of a
// channel sort by time as strings do.
type Version string

// NewVersion names a snapshot published at t; height 0 means that it has none.
func NewVersion(t time.Time, height uint64) Version {
	v := t.UTC().Format(versionTime)
	if height != 0 {
		v += "-h" + strconv.FormatUint(height, 10)
	}
	return Version(v)
}

// ParseVersion accepts exactly what [NewVersion] makes.
func ParseVersion(s string) (Version, error) {
	stamp, heightText, hasHeight := strings.Cut(s, "-h")
	t, err := time.Parse(versionTime, stamp)
	if err != nil {
		return "", fmt.Errorf("parse version %q: want a name such as 20261120T060000Z or 20261120T060000Z-h1234", clip(s))
	}
	var height uint64
	if hasHeight {
		if height, err = strconv.ParseUint(heightText, 10, 64); err != nil || height == 0 {
			return "", fmt.Errorf("parse version %q: height %q is no positive number", clip(s), clip(heightText))
		}
	}
	if v := NewVersion(t, height); string(v) == s {
		return v, nil
	}
	return "", fmt.Errorf("parse version %q: not in canonical form", clip(s))
}

// Time is the second of publication, in UTC; the zero time if v is no valid version.
func (v Version) Time() time.Time {
	stamp, _, _ := strings.Cut(string(v), "-h")
	t, err := time.Parse(versionTime, stamp)
	if err != nil {
		return time.Time{}
	}
	return t
}

// Height is the block height in the name, 0 if there is none.
func (v Version) Height() uint64 {
	_, text, _ := strings.Cut(string(v), "-h")
	height, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return height
}
