package publish

// NewFanout shows the bounded copying between encoders and sinks, which cannot be seen through Publish.
var NewFanout = newFanout //nolint:gochecknoglobals // for tests

// RunCommand runs a snapshot command for a process that can be killed under it.
var RunCommand = runCommand //nolint:gochecknoglobals // for tests

// FanoutBytes is how far a sink may lag behind.
const FanoutBytes = fanoutBlock * fanoutBlocks
