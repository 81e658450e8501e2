//go:build e2e

package publish_test

import "os"

// every is how many trials lie between two that are made; with FAULTS=all, all are.
func every(n int) int {
	if os.Getenv("FAULTS") == "all" {
		return 1
	}
	return n
}
