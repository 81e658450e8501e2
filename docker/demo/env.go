package main

import (
	"fmt"
	"strings"

	"snapswarm/common/durable"
)

// writeEnv writes pairs of names and values so that a shell can read them. It appears whole, and only its owner can
// read it: there are secrets in it.
func writeEnv(path string, pairs []string) error {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&b, "%s=%s\n", pairs[i], quote(pairs[i+1]))
	}
	return durable.WriteFile(path, []byte(b.String()), 0o600)
}

// quote makes one word of s for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
