package publish_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// orphans is a snapshot command of several processes, all of which hold the named pipe open as long as they live.
const orphans = `exec >"$SNAPSHOT_SOURCE"; sleep 3600 & echo ready; (sleep 3600; true); true`

func TestTheSnapshotCommandDoesNotOutliveTheProducer(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	pipe, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	producer := exec.CommandContext(t.Context(), os.Args[0])
	producer.Env = append(os.Environ(), commandSource+"="+fifo)
	if err := producer.Start(); err != nil {
		t.Fatal(err)
	}
	awaitWord(t, pipe)
	if err := producer.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = producer.Wait() // it was killed
	if err := pipe.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(pipe); err != nil {
		t.Errorf("the command still runs after the producer was killed: %v", err)
	}
}

// awaitWord waits until somebody writes: before, an empty pipe looks like one that everybody has closed.
func awaitWord(t *testing.T, pipe io.Reader) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		n, err := pipe.Read(make([]byte, 100))
		if n > 0 {
			return
		}
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	t.Fatal("the command did not begin")
}
