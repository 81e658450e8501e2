package publish

import (
	"fmt"

	"snapswarm/common/durable"
)

// checkSpace fails with a [SpaceError] when dir has less than need bytes left for us.
func checkSpace(dir string, need int64) error {
	have, err := durable.FreeSpace(dir)
	if err != nil {
		return err
	}
	if have < need {
		return &SpaceError{Dir: dir, Need: need, Have: have}
	}
	return nil
}

// explainFull gives the error of a full disk its numbers; others pass.
func explainFull(err error, dir string, need int64) error {
	if !durable.IsFull(err) {
		return err
	}
	have, _ := durable.FreeSpace(dir)
	return fmt.Errorf("%w: %w", &SpaceError{Dir: dir, Need: need, Have: have}, err)
}
