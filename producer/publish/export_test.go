package publish

// RunCommand runs a snapshot command for a process that can be killed under it.
var RunCommand = runCommand //nolint:gochecknoglobals // for tests
