package s3test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"snapswarm/common/needs"
)

// NewProcess runs the command versitygw for a test: the binary that VERSITYGW_BIN names, or the one in PATH. Without one
// it skips the test, except where everything has to run (CI=true). Several may run at once, and none changes
// the working directory.
func NewProcess(tb testing.TB) *Server {
	tb.Helper()
	bin := findBinary(tb)
	cfg, err := Config{Dir: tb.TempDir()}.complete()
	if err != nil {
		tb.Fatal(err)
	}
	addr, err := freeAddr(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{
		Endpoint: "http://" + addr, Region: region, AccessKey: cfg.AccessKey, SecretKey: cfg.SecretKey,
		Bucket: cfg.Bucket, addr: addr,
	}
	var output bytes.Buffer
	cmd := exec.Command(bin, "--port", addr, "--quiet", "posix", "--sidecar", cfg.meta(), cfg.data()) //nolint:noctx // ended below
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+cfg.AccessKey, "ROOT_SECRET_KEY="+cfg.SecretKey)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", bin, err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait() // ended by our signal, so it says nothing
		close(exited)
	}()
	tb.Cleanup(func() { end(tb, cmd, exited, &output) })
	s.waitReady(tb)
	return s
}

func findBinary(tb testing.TB) string {
	tb.Helper()
	name := os.Getenv("VERSITYGW_BIN")
	if name == "" {
		name = "versitygw"
	}
	bin, err := exec.LookPath(name)
	if err == nil {
		return bin
	}
	needs.Missing(tb, "versitygw ("+err.Error()+")", "run make e2e-deps, or name it in VERSITYGW_BIN")
	return ""
}

// waitReady makes the public bucket, which works as soon as the server does.
func (s *Server) waitReady(tb testing.TB) {
	tb.Helper()
	deadline := time.Now().Add(readyTimeout)
	for {
		ctx, cancel := context.WithTimeout(tb.Context(), 2*time.Second)
		err := s.AddBucket(ctx, s.Bucket)
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("versitygw is not ready after %v: %v", readyTimeout, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func end(tb testing.TB, cmd *exec.Cmd, exited <-chan struct{}, output *bytes.Buffer) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-exited:
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		<-exited
	}
	if tb.Failed() && output.Len() > 0 {
		tb.Logf("versitygw: %s", output)
	}
}
