//go:build e2e

package e2e_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"snapswarm/common/bucket"
	"snapswarm/docker/stack"
)

// TestAGatewayStopsInOrder asks a gateway to end in the middle of a transfer. First it says that it is not ready, then it takes no
// more connections, and what is under way goes on to its end.
func TestAGatewayStopsInOrder(t *testing.T) {
	w := newWorld(t)
	_, pub := w.produce(w.ledger(32<<20), nil) // far more than the kernel buffers
	gateway, base := w.gateway("gateway", nil)
	url := base + "/" + bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.file())
	body := w.begin(url)
	first := make([]byte, 1<<20)
	_, err := io.ReadFull(body, first)
	w.ok(err)

	stopped := make(chan error, 1)
	go func() { stopped <- gateway.Stop() }()
	w.refusedAfterNotReady(gateway, strings.TrimPrefix(base, "http://"))
	rest, err := io.ReadAll(body)
	if err != nil || !bytes.Equal(slices.Concat(first, rest), pub.archive) {
		t.Errorf("the transfer under way ended after %d of %d bytes: %v", len(first)+len(rest), pub.size(), err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if code := gateway.ExitCode(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
}

// begin is the body of a GET that nobody has read yet.
func (w *world) begin(url string) io.Reader {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.ctx, http.MethodGet, url, nil)
	w.ok(err)
	resp, err := http.DefaultClient.Do(req)
	w.ok(err)
	w.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		w.t.Fatalf("GET %s: %s", url, resp.Status)
	}
	return resp.Body
}

// refusedAfterNotReady waits until nobody takes connections at addr, and fails if the process said that it was ready just before. In
// each turn it is asked about itself first, so the order holds however slow this machine is.
func (w *world) refusedAfterNotReady(p *stack.Process, addr string) {
	w.t.Helper()
	dialer := &net.Dialer{}
	said := ""
	w.eventually("connections are refused", func() bool {
		said = w.status(p)
		conn, err := dialer.DialContext(w.ctx, "tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	if !strings.Contains(said, "stopping") {
		w.t.Errorf("readiness was %q when connections were refused, want that it is stopping", said)
	}
}

// TestASecondSignalEndsAtOnce sends two: the second is for those who do not want to wait for the transfers of others.
func TestASecondSignalEndsAtOnce(t *testing.T) {
	w := newWorld(t)
	_, pub := w.produce(w.ledger(32<<20), nil)
	gateway, base := w.gateway("gateway", nil)
	body := w.begin(base + "/" + bucket.ArchiveKey(w.Channel.Salt, pub.Version(), pub.file()))
	w.ok(gateway.Signal(syscall.SIGTERM))
	w.eventually("it is stopping", func() bool { return strings.Contains(w.status(gateway), "stopping") })
	w.ok(gateway.Signal(syscall.SIGINT))
	<-gateway.Done()
	if code := gateway.ExitCode(); code != 130 {
		t.Errorf("exit code %d after two signals, want 130", code)
	}
	if n, err := io.Copy(io.Discard, body); err == nil {
		t.Errorf("the transfer of %d bytes seemed complete, although the gateway was stopped at once", n)
	}
}
