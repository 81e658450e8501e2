package publish_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"testing"
	"time"

	"snapswarm/producer/publish"
)

func TestEverySinkGetsEverything(t *testing.T) {
	data := sample(1, 5_000_001)
	var a, b bytes.Buffer
	f := publish.NewFanout(&a, &b)
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 1+len(rest)/3)
		if m, err := f.Write(rest[:n]); m != n || err != nil {
			t.Fatalf("Write = %d, %v", m, err)
		}
		rest = rest[n:]
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), data) || !bytes.Equal(b.Bytes(), data) {
		t.Error("a sink got other bytes")
	}
}

func TestASlowSinkHoldsUpNobodyAtFirst(t *testing.T) {
	r, slow := io.Pipe() // takes nothing before it is read
	fast := sha256.New()
	f := publish.NewFanout(slow, fast)
	data := make([]byte, publish.FanoutBytes)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = f.Write(data)
		_, _ = f.Write([]byte("one more")) // has to wait
		_ = f.Close()
	}()
	select {
	case <-done:
		t.Error("the writer did not wait for the slow sink at all: its memory has no bound")
	case <-time.After(100 * time.Millisecond):
	}
	if n, err := io.CopyN(io.Discard, r, int64(len(data))+8); err != nil {
		t.Errorf("the slow sink got %d bytes: %v", n, err)
	}
	<-done
	if want := sha256.Sum256(append(bytes.Clone(data), "one more"...)); !bytes.Equal(fast.Sum(nil), want[:]) {
		t.Error("the fast sink got other bytes")
	}
}

func TestAnErrorOfASinkStopsTheWriter(t *testing.T) {
	broken := errors.New("broken")
	f := publish.NewFanout(failing{broken}, io.Discard)
	data := make([]byte, publish.FanoutBytes)
	var err error
	for range 3 { // the error comes later, but before everything is used up
		if _, err = f.Write(data); err != nil {
			break
		}
	}
	if !errors.Is(err, broken) {
		t.Errorf("Write = %v, want %v", err, broken)
	}
	if err := f.Close(); !errors.Is(err, broken) {
		t.Errorf("Close = %v, want %v", err, broken)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
