package publish_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"

	"snapswarm/producer/publish"
)

// commandSource makes this program, run again by a test, a process that can be killed while a snapshot command makes that source.
const commandSource = "SNAPSWARM_TEST_COMMAND_SOURCE"

func TestMain(m *testing.M) {
	source := os.Getenv(commandSource)
	if source == "" {
		goleak.VerifyTestMain(m, // the embedded S3 server leaves these behind
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
			goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
		return
	}
	if _, err := publish.RunCommand(context.Background(), orphans, source, slog.New(slog.DiscardHandler)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
