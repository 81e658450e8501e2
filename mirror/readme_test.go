package main

import (
	"flag"
	"testing"

	"snapswarm/common/daemon/daemontest"
)

var update = flag.Bool("update", false, "write the generated parts of README.md")

func TestReadme(t *testing.T) {
	daemontest.Help(t, newCommand)
	daemontest.Settings(t, "README.md", "mirror", new(Config), *update)
	daemontest.ExitCodes(t, "README.md", *update)
}
